//! The parent's end: reads that wait without a thread. Writing needs no help, since calls are encoded when they are made.

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

use super::{FrameError, LENGTH_BYTES, body_bytes, decode};

/// Reads frames one after the other. A `read` that is dropped half-way spoils the rest: stop reading then.
pub(crate) struct FrameReader<R> {
    reader: BufReader<R>,
    body: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), body: Vec::new() }
    }

    /// The next frame; `None` when the other end has closed between two frames.
    pub(crate) async fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let mut length = [0; LENGTH_BYTES];
        let first = self.reader.read(&mut length).await.map_err(FrameError::Io)?;
        if first == 0 {
            return Ok(None);
        }
        self.fill(&mut length[first..]).await?;
        let mut body = std::mem::take(&mut self.body);
        body.resize(body_bytes(length)?, 0);
        self.fill(&mut body).await?;
        let frame = decode(&body)?;
        self.body = body;
        Ok(Some(frame))
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), FrameError> {
        self.reader.read_exact(buffer).await.map(|_| ()).map_err(FrameError::Io)
    }
}
