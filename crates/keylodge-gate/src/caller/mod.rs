//! What a request says of its caller, for the restrictions of its key.

mod forwarded;
mod trusted;

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};
use keylodge_rules::{AndroidCaller, Call, ServiceName};

pub use trusted::{ForwardedHeader, TrustedProxies};

/// Where a request comes from.
///
/// The listener puts it into the extensions of every request; where it is missing, a key that is restricted to
/// addresses is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection: behind a proxy that is the proxy's.
    pub socket: SocketAddr,
    /// The address that restrictions are judged by: the connection's, or the one that trusted proxies vouch for. `None`
    /// where proxies say something that cannot be believed.
    pub caller: Option<IpAddr>,
}

impl Peer {
    /// A caller that spoke to us itself, through no proxy.
    #[must_use]
    pub fn direct(socket: SocketAddr) -> Self {
        Self { socket, caller: Some(socket.ip().to_canonical()) }
    }

    /// Where a request with these extensions comes from.
    #[must_use]
    pub fn of(extensions: &http::Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The address for logs and audit lines: the caller's, or the connection's where the caller is unknown. Decisions
    /// are made by [`Peer::caller`], never by this.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.caller.unwrap_or_else(|| self.socket.ip().to_canonical())
    }
}

/// The request as the rules see it. A header that is no text counts as missing, as does an empty one; of several with one
/// name the first counts.
pub(crate) fn call<'call>(
    service: &'call ServiceName,
    method: &'call str,
    headers: &'call HeaderMap,
    peer: Option<&Peer>,
) -> Call<'call> {
    let (mut referrer, mut package_name, mut sha1_fingerprint, mut ios_bundle) = (None, None, None, None);
    // One look at each of the few headers there are, rather than a search for each of the names.
    for (name, value) in headers {
        let place = match name.as_str() {
            "referer" => &mut referrer,
            "x-android-package" => &mut package_name,
            "x-android-cert" => &mut sha1_fingerprint,
            "x-ios-bundle-identifier" => &mut ios_bundle,
            _ => continue,
        };
        place.get_or_insert(value);
    }
    let text = |value: Option<&'call HeaderValue>| {
        value.and_then(|value| str::from_utf8(value.as_bytes()).ok()).filter(|text| !text.is_empty())
    };
    let (package_name, sha1_fingerprint) = (text(package_name), text(sha1_fingerprint));
    let android = (package_name.is_some() || sha1_fingerprint.is_some()).then(|| AndroidCaller {
        package_name: package_name.unwrap_or_default(),
        sha1_fingerprint: sha1_fingerprint.unwrap_or_default(),
    });
    Call {
        address: peer.and_then(|peer| peer.caller),
        referrer: text(referrer),
        android,
        ios_bundle: text(ios_bundle),
        ..Call::new(service, method)
    }
}
