//! What the worker writes to stderr: forwarded to the log, line by line, and the last line kept.

use std::convert::Infallible;
use std::future::pending;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::ChildStderr;

/// Longer lines are cut.
const LINE_BYTES_MAX: usize = 1000;

/// The stderr of a worker. The last line is often why it died.
pub(super) struct LastWords<R = ChildStderr> {
    stderr: Option<R>,
    line: Vec<u8>,
    last: String,
}

impl<R: AsyncRead + Unpin> LastWords<R> {
    pub(super) fn new(stderr: Option<R>) -> Self {
        Self { stderr, line: Vec::new(), last: String::new() }
    }

    /// Forwards for ever: that stderr is closed says nothing about the worker.
    pub(super) async fn forward(&mut self) -> Infallible {
        self.hear_out().await;
        pending().await
    }

    /// Forwards what is left, until stderr is closed.
    pub(super) async fn hear_out(&mut self) {
        let mut chunk = [0; 1024];
        while let Some(stderr) = &mut self.stderr {
            match stderr.read(&mut chunk).await {
                Ok(bytes) if bytes > 0 => self.take_in(&chunk[..bytes]),
                Ok(_) | Err(_) => {
                    self.stderr = None;
                    self.end_line();
                }
            }
        }
    }

    /// The reason with the last words added, when there were any.
    pub(super) fn epitaph(&self, reason: &str) -> String {
        if self.last.is_empty() { reason.to_owned() } else { format!("{reason}; its last words: {}", self.last) }
    }

    fn take_in(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).trim().to_owned();
        self.line.clear();
        if !line.is_empty() {
            tracing::debug!(line, "the model's worker says");
            self.last = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_line_is_kept_and_long_lines_are_cut() {
        let long = "x".repeat(LINE_BYTES_MAX + 500);
        let text = format!("loading\n{long}\n\n");
        let mut words = LastWords::new(Some(text.as_bytes()));

        words.hear_out().await;

        assert_eq!(words.epitaph("it ended").len(), "it ended; its last words: ".len() + LINE_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_silent_end_adds_nothing() {
        let mut words = LastWords::new(Some(&b""[..]));

        words.hear_out().await;

        assert_eq!(words.epitaph("it ended"), "it ended");
    }
}
