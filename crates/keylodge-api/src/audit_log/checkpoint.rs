//! The last line of an export: how far the log reaches, signed.

use keylodge_rules::audit::{ChainHash, Checkpoint, PublicKey, Signature, Signed};

use super::NotAnEntry;
use super::wire::{End, EndCheckpoint};
use crate::timestamp;

/// Prints a signed checkpoint as one line, without the newline.
#[must_use]
pub fn print(end: &Signed<Checkpoint>) -> String {
    let Signed { statement: Checkpoint { sequence, hash, time, node }, public_key, signature } = end;
    let checkpoint = EndCheckpoint {
        sequence: sequence.to_string(),
        hash: hash.to_string(),
        time: timestamp::print(*time),
        node: node.clone(),
        public_key: public_key.to_string(),
        signature: signature.to_string(),
    };
    serde_json::to_string(&End { checkpoint }).expect("text always prints")
}

/// Reads a checkpoint line. The signature is read, not checked: [`Signed::verify`] does that.
///
/// # Errors
/// When the line is not exactly what [`print()`] gives for the values in it.
pub fn parse(line: &str) -> Result<Signed<Checkpoint>, NotAnEntry> {
    let End { checkpoint: read } = serde_json::from_str(line).map_err(|_| NotAnEntry::NotJson)?;
    let checkpoint = Checkpoint {
        sequence: read.sequence.parse().map_err(|_| NotAnEntry::Field("sequence"))?,
        hash: ChainHash::parse(&read.hash).map_err(|_| NotAnEntry::Field("hash"))?,
        time: timestamp::parse(&read.time).map_err(|_| NotAnEntry::Field("time"))?,
        node: read.node,
    };
    let end = Signed {
        statement: checkpoint,
        public_key: PublicKey::parse(&read.public_key).map_err(|_| NotAnEntry::Field("publicKey"))?,
        signature: Signature::parse(&read.signature).map_err(|_| NotAnEntry::Field("signature"))?,
    };
    if print(&end) == line { Ok(end) } else { Err(NotAnEntry::OtherSpelling) }
}

/// Whether a line means to be the checkpoint.
pub(super) fn is_checkpoint(line: &str) -> bool {
    line.starts_with("{\"keylodgeCheckpoint\":")
}
