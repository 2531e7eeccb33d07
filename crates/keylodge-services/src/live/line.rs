//! The websocket of a session: whole messages in, JSON out, both bounded in size and time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, error::CapacityError};

use crate::relay::Chosen;

use super::closing::{Closing, End, INVALID, TOO_LARGE};

/// How long a client may take to read what it is told.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client may take to agree to an end.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// What may wait to be written beside the largest message, in bytes: small frames, such as answers to pings.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// The websocket of a session, or ours to an upstream.
pub(super) struct Line {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    /// The credential that it was opened with, if it is ours to an upstream: in use as long as it is open.
    chosen: Option<Chosen>,
    /// Until when the other side has to take the answer to its ping. Until it did, nothing more is read of it: whoever pings
    /// and reads no answers would fill the memory with them.
    answers_by: Option<Instant>,
    /// Whether a message was too large, so that the rest of it stands unread.
    is_cut: bool,
}

/// What came.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message, in text or in bytes, as it came.
    Message(Message),
    /// A sign of life.
    Sign,
}

impl Line {
    pub(super) async fn new(connection: Upgraded, role: Role, bytes_max: usize) -> Self {
        let limits = WebSocketConfig::default()
            .max_message_size(Some(bytes_max))
            .max_frame_size(Some(bytes_max))
            .max_write_buffer_size(bytes_max.saturating_add(WAITING_BYTES_MAX));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), role, Some(limits)).await;
        Self { socket, chosen: None, answers_by: None, is_cut: false }
    }

    /// Keeps the credential of an upstream in use until this is over.
    pub(super) fn keep(&mut self, chosen: Option<Chosen>) {
        self.chosen = chosen;
    }

    /// The credential that it was opened with, if there is one.
    pub(super) const fn chosen(&self) -> Option<&Chosen> {
        self.chosen.as_ref()
    }

    /// What comes next. Dropped before it is there, nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Heard, End> {
        self.answer().await?;
        match self.socket.next().await {
            Some(Ok(Message::Ping(_))) => {
                self.answers_by = Some(Instant::now() + WRITE_TIME_MAX);
                self.answer().await?;
                Ok(Heard::Sign)
            }
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => Ok(Heard::Message(message)),
            Some(Ok(Message::Close(Some(frame)))) => {
                Err(End::HungUp(Closing { code: frame.code.into(), reason: frame.reason.to_string() }))
            }
            Some(Ok(Message::Close(None))) | None => Err(End::Gone),
            Some(Ok(_)) => Ok(Heard::Sign),
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { max_size, .. }))) => {
                self.is_cut = true;
                Err(Closing::new(TOO_LARGE, &format!("A message may have {max_size} bytes.")).into())
            }
            Some(Err(Error::Utf8(_))) => Err(Closing::new(INVALID, "A message of text must be UTF-8.").into()),
            Some(Err(_)) => Err(End::Gone),
        }
    }

    /// Sends the answer to a ping, if there is one to send. Dropped before that is done, the next goes on with it.
    async fn answer(&mut self) -> Result<(), End> {
        let Some(by) = self.answers_by else { return Ok(()) };
        match timeout_at(by, self.socket.flush()).await {
            Ok(Ok(())) => {
                self.answers_by = None;
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Says something in JSON, in a frame of bytes as Google does.
    pub(super) async fn say(&mut self, message: &Value) -> Result<(), End> {
        self.send(Message::Binary(Bytes::from(message.to_string()))).await
    }

    /// Asks whether somebody is there.
    pub(super) async fn ping(&mut self) -> Result<(), End> {
        self.send(Message::Ping(Bytes::new())).await
    }

    /// Sends a message as it is.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(WRITE_TIME_MAX, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Agrees to an end that the other side has said, if it has said one.
    pub(super) async fn agree(mut self) {
        let _ = timeout(CLOSE_TIME_MAX, self.socket.flush()).await;
    }

    /// Ends it and waits for nobody: whoever does not listen now does not hear why.
    pub(super) fn leave(mut self, closing: &Closing) {
        let _ = self.socket.close(Some(frame(closing))).now_or_never();
    }

    /// Ends it, and waits a moment until the other side has seen that.
    pub(super) async fn close(mut self, closing: &Closing) {
        let ended = async {
            if self.socket.close(Some(frame(closing))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
            if self.is_cut {
                // A connection that is given up with something unread may take what was said along.
                let _ = tokio::io::copy(self.socket.get_mut(), &mut tokio::io::sink()).await;
            }
        };
        // Whoever does not agree finds the connection closed.
        let _ = timeout(CLOSE_TIME_MAX, ended).await;
    }
}

fn frame(closing: &Closing) -> CloseFrame {
    CloseFrame { code: CloseCode::from(closing.code), reason: closing.reason.as_str().into() }
}
