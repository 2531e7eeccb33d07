//! An answer that is read line by line.

use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt as _;

use crate::ClientError;
use crate::transport::Incoming;

/// The longest line that is read. An audit entry is far shorter: what it says of a request is cut.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// How long the server may be silent between two pieces.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The lines of an answer, as they come: never more than one line and one piece of the answer are held.
pub struct Lines {
    body: Incoming,
    read: BytesMut,
    /// Up to where no newline stands.
    searched: usize,
    at_end: bool,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("held", &self.read.len()).finish_non_exhaustive()
    }
}

impl Lines {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, read: BytesMut::new(), searched: 0, at_end: false }
    }

    /// The next line without its newline, every other byte as it came; none at the end.
    ///
    /// # Errors
    /// When the answer breaks off, the server is silent for a minute, or a line is longer than 1 MiB.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            if let Some(at) = self.read[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(self.searched + at + 1);
                self.searched = 0;
                return Ok(Some(line[..line.len() - 1].to_vec()));
            }
            self.searched = self.read.len();
            if self.at_end {
                let rest = std::mem::take(&mut self.read);
                self.searched = 0;
                return Ok((!rest.is_empty()).then(|| rest.to_vec()));
            }
            if self.read.len() > LINE_BYTES_MAX {
                return Err(ClientError::Nonsense { what: "a line without end" });
            }
            let piece = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
            match piece.map_err(|error| ClientError::BrokeOff { cause: error.into() })? {
                Some(Ok(frame)) => self.read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(cause)) => return Err(ClientError::BrokeOff { cause }),
                None => self.at_end = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;

    async fn lines(text: &'static str) -> Vec<String> {
        let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {});
        let mut lines = Lines::new(body.boxed_unsync());
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(String::from_utf8(line).unwrap());
        }
        all
    }

    #[tokio::test]
    async fn lines_end_at_newlines_and_at_nothing_else() {
        assert_eq!(lines("").await, [""; 0]);
        assert_eq!(lines("a\nb\n").await, ["a", "b"]);
        assert_eq!(lines("a\r\n\nb").await, ["a\r", "", "b"]);
    }
}
