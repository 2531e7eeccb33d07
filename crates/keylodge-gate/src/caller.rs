//! What a request says of its caller, for the restrictions of its key.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::REFERER;
use keylodge_rules::{AndroidCaller, Call, ServiceName};

/// The other end of the connection that a request came over.
///
/// The listener puts it into the extensions of every request; where it is missing, a key that is restricted to
/// addresses is refused. It is the address that spoke to us: behind a proxy that is the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl Peer {
    /// The other end of the connection that a request with these extensions came over.
    #[must_use]
    pub fn of(extensions: &http::Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Its address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.0.ip()
    }
}

/// The request as the rules see it. A header that is no text counts as missing, as does an empty one.
pub(crate) fn call<'call>(
    service: &'call ServiceName,
    method: &'call str,
    headers: &'call HeaderMap,
    extensions: &http::Extensions,
) -> Call<'call> {
    let header = |name: &str| {
        let text = headers.get(name).and_then(|value| str::from_utf8(value.as_bytes()).ok());
        text.filter(|text| !text.is_empty())
    };
    let (package_name, sha1_fingerprint) = (header("x-android-package"), header("x-android-cert"));
    let android = (package_name.is_some() || sha1_fingerprint.is_some()).then(|| AndroidCaller {
        package_name: package_name.unwrap_or_default(),
        sha1_fingerprint: sha1_fingerprint.unwrap_or_default(),
    });
    Call {
        address: Peer::of(extensions).map(|peer| peer.ip()),
        referrer: header(REFERER.as_str()),
        android,
        ios_bundle: header("x-ios-bundle-identifier"),
        ..Call::new(service, method)
    }
}
