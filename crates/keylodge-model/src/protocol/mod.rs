//! The frames between the parent and its worker: a length of four bytes, little-endian, then so many bytes of JSON.
//!
//! Both ends are the same program, started from the same file, so there is no version in it. The two ends still do not
//! trust each other's bytes: a frame that is too long or cannot be read is an error value, never a panic.

pub(crate) mod parent_end;
pub(crate) mod worker_end;

use std::fmt;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Finish, Generate, Prompt};

/// The longest frame. It bounds what one call can hold in memory, on both sides; four million bytes of prompt are far
/// more than any window here.
pub(crate) const FRAME_BYTES_MAX: usize = 4 << 20;

const LENGTH_BYTES: usize = 4;

/// What the parent asks. Ids are given out once in the parent's life, upwards from 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// Answered by `Started`, `Piece`s and `Finished`, or by `Refused`.
    Generate { id: u64, request: Generate },
    /// Answered by `Counted` or `Refused`.
    Count { id: u64, prompt: Prompt },
    /// Answered by `Started` and `Vector`, or by `Refused`.
    Embed { id: u64, text: String },
    /// Nobody wants this answer any more. It is not answered, and frames that crossed it are ignored.
    Cancel { id: u64 },
}

/// What the worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// The model is loaded. Comes once.
    Ready {
        window_tokens: u32,
        /// How many numbers a vector has; 0 where none is made.
        #[serde(default)]
        dimensions: u32,
    },
    /// The worker cannot serve and a new start would not help; it ends after this.
    Fatal {
        reason: String,
    },
    /// Work goes on, though there may be nothing to say about it yet.
    Beat,
    /// What comes next is held to the grammar of this call, which may take long. Any other frame says that it is done.
    Following {
        id: u64,
    },
    Counted {
        id: u64,
        tokens: u64,
    },
    /// A text as a vector of length 1.
    Vector {
        id: u64,
        values: Vec<f32>,
    },
    /// The call has a slot, or its text is being read: as many tokens of it as are said here.
    Started {
        id: u64,
        prompt_tokens: u64,
    },
    /// At most one for each output token.
    Piece {
        id: u64,
        text: String,
        output_tokens: u64,
    },
    Finished {
        id: u64,
        reason: Finish,
        output_tokens: u64,
    },
    Refused {
        id: u64,
        why: Refusal,
    },
}

/// Why the worker does not answer a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    PromptTooLong {
        tokens: u64,
        tokens_max: u64,
    },
    BadSchema {
        reason: String,
    },
    /// The model's chat template has no form for this prompt, or it was asked for what it is not for.
    NoForm {
        reason: String,
    },
}

/// What is wrong with a frame or the socket it came from.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// Longer than [`FRAME_BYTES_MAX`].
    TooLong { bytes: usize },
    /// Not JSON, or not a frame of ours.
    Garbage(serde_json::Error),
    /// The socket failed, or closed in the middle of a frame.
    Io(io::Error),
}

/// A value as a whole frame, length and all.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut frame, value).map_err(FrameError::Garbage)?;
    let bytes = frame.len() - LENGTH_BYTES;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= FRAME_BYTES_MAX);
    let length = length.ok_or(FrameError::TooLong { bytes })?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

fn body_bytes(length: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
    let bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if bytes > FRAME_BYTES_MAX { Err(FrameError::TooLong { bytes }) } else { Ok(bytes) }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(body).map_err(FrameError::Garbage)
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(f, "a frame of {bytes} bytes; at most {FRAME_BYTES_MAX} are allowed"),
            Self::Garbage(error) => write!(f, "a frame that cannot be read: {error}"),
            Self::Io(error) => write!(f, "the socket failed: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Role, Sampling, Shape, Turn};

    fn generate() -> ToWorker {
        let turns = vec![Turn { role: Role::User, text: "Grüß \u{0} <|im_start|>".to_owned() }];
        let request = Generate {
            model: "m".to_owned(),
            prompt: Prompt { system: Some("s".to_owned()), turns },
            sampling: Sampling { seed: u32::MAX, ..Sampling::default() },
            output_tokens_max: 5,
            stop: vec!["\n".to_owned()],
            grammar: Shape::text().grammar().ok(),
        };
        ToWorker::Generate { id: u64::MAX, request }
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).expect("a short body");
        [&length.to_le_bytes()[..], body].concat()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let frames = [encode(&generate()), encode(&ToWorker::Cancel { id: 3 })].map(|frame| frame.expect("it fits"));
        let bytes = frames.concat();
        let mut reader = bytes.as_slice();

        assert_eq!(worker_end::read(&mut reader).expect("the first frame"), Some(generate()));
        assert_eq!(worker_end::read(&mut reader).expect("the second frame"), Some(ToWorker::Cancel { id: 3 }));
        assert_eq!(worker_end::read::<ToWorker>(&mut reader).expect("a clean end"), None);
    }

    #[tokio::test]
    async fn both_readers_read_the_same() {
        let bytes = encode(&generate()).expect("it fits");
        let mut reader = parent_end::FrameReader::new(bytes.as_slice());

        assert_eq!(reader.read().await.expect("a frame"), Some(generate()));
        assert_eq!(reader.read::<ToWorker>().await.expect("a clean end"), None);
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_is_refused_before_it_is_read() {
        let bytes = u32::MAX.to_le_bytes();

        let by_worker = worker_end::read::<ToWorker>(&mut bytes.as_slice());
        assert!(matches!(by_worker, Err(FrameError::TooLong { .. })));
        let by_parent = parent_end::FrameReader::new(bytes.as_slice()).read::<ToWorker>().await;
        assert!(matches!(by_parent, Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn a_frame_that_would_be_too_long_is_not_written() {
        let text = "x".repeat(FRAME_BYTES_MAX);

        assert!(matches!(encode(&text), Err(FrameError::TooLong { .. })));
    }

    #[tokio::test]
    async fn garbage_is_an_error_value() {
        for body in [&b"not json"[..], b"{}", b"\"Beats\"", b"\xff", b""] {
            let bytes = framed(body);
            let by_worker = worker_end::read::<FromWorker>(&mut bytes.as_slice());
            assert!(matches!(by_worker, Err(FrameError::Garbage(_))), "{body:?}");
            let by_parent = parent_end::FrameReader::new(bytes.as_slice()).read::<FromWorker>().await;
            assert!(matches!(by_parent, Err(FrameError::Garbage(_))), "{body:?}");
        }
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_not_a_clean_end() {
        let whole = framed(b"\"Beat\"");
        for cut in 1..whole.len() {
            let by_worker = worker_end::read::<FromWorker>(&mut &whole[..cut]);
            assert!(matches!(by_worker, Err(FrameError::Io(_))), "cut at {cut}");
            let by_parent = parent_end::FrameReader::new(&whole[..cut]).read::<FromWorker>().await;
            assert!(matches!(by_parent, Err(FrameError::Io(_))), "cut at {cut}");
        }
    }
}
