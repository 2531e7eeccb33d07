//! A websocket of our own to an upstream, with our credential.

use std::future::poll_fn;
use std::sync::Arc;

use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Request, StatusCode};
use hyper::upgrade::Upgraded;
use keylodge_rules::upstream::Member;

use super::body::Outgoing;
use super::credentials::{Carried, Chosen};
use super::upstream::{Upstream, UpstreamError};

/// An open websocket, before its first frame.
pub(crate) struct Socket {
    pub(crate) connection: Upgraded,
    /// The credential is in use until the socket is closed.
    pub(crate) chosen: Option<Chosen>,
}

impl Upstream {
    /// Changes a connection to a websocket at this path; `key` is what RFC 6455 asks for, 16 random bytes in base64. What was
    /// begun with one of our accounts there goes on with that account alone.
    ///
    /// # Errors
    /// When the upstream cannot be reached, takes none of our credentials, or does not change.
    pub(crate) async fn socket(
        &self,
        path: &str,
        key: &HeaderValue,
        model: Option<&Arc<str>>,
        account: Option<&Member>,
    ) -> Result<Socket, UpstreamError> {
        let mut request = Request::new(Outgoing::Whole(None));
        self.prepare(&mut request, path)?;
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, key.clone());
        let (mut slot, pair) = (Some(request), Arc::default());
        let opening = async {
            let Carried::Streams(mut response, mut link, chosen) = self.carry(&mut slot, model, account, &pair).await?
            else {
                return Err(UpstreamError::Unread);
            };
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(UpstreamError::Unread);
            }
            let upgrade = hyper::upgrade::on(&mut response);
            // The connection gives its socket away when it has nothing more to do.
            poll_fn(|cx| link.work(cx)).await;
            let connection = upgrade.await.map_err(UpstreamError::Broken)?;
            Ok(Socket { connection, chosen })
        };
        let opened = tokio::time::timeout(self.settings.head_time_max, opening).await;
        opened.unwrap_or(Err(UpstreamError::TooSlow))
    }
}
