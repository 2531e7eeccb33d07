//! The worker's end: plain blocking reads and writes.

use std::io::Write;

use serde::Serialize;

use super::{FrameError, encode};
#[cfg(any(test, feature = "llama"))]
use {
    super::{LENGTH_BYTES, body_bytes, decode},
    serde::de::DeserializeOwned,
    std::io::{ErrorKind, Read},
};

/// Reads one frame; `None` when the other end has closed between two frames.
#[cfg(any(test, feature = "llama"))]
pub(crate) fn read<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut length = [0; LENGTH_BYTES];
    if !filled_or_over(reader, &mut length)? {
        return Ok(None);
    }
    let mut body = vec![0; body_bytes(length)?];
    reader.read_exact(&mut body).map_err(FrameError::Io)?;
    decode(&body).map(Some)
}

/// Writes one frame.
pub(crate) fn write(writer: &mut impl Write, value: &impl Serialize) -> Result<(), FrameError> {
    writer.write_all(&encode(value)?).map_err(FrameError::Io)
}

/// Fills the buffer: true. Finds the end before the first byte: false.
#[cfg(any(test, feature = "llama"))]
fn filled_or_over(reader: &mut impl Read, buffer: &mut [u8]) -> Result<bool, FrameError> {
    let first = loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other.map_err(FrameError::Io)?,
        }
    };
    if first == 0 {
        return Ok(false);
    }
    reader.read_exact(&mut buffer[first..]).map_err(FrameError::Io)?;
    Ok(true)
}
