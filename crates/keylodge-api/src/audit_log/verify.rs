//! Checking an export.

use keylodge_rules::audit::{Breach, Broken, Checkpoint, PublicKey, Signed, Verified, Verifier};

use super::{NotAnEntry, checkpoint, entry};

/// Checks an export: entries first, the checkpoint last, and every byte as it was written.
///
/// Lines come without their newlines and must be split at `\n` and nothing else, as [`std::io::BufRead::split`] does:
/// `lines` would take a `\r` away unseen. For `expected` and `earlier` see [`Verifier`]. Stops at the first breach.
///
/// # Errors
/// When the export is not whole, with the place and what is wrong there.
pub fn verify_export(
    lines: impl IntoIterator<Item = impl AsRef<[u8]>>,
    expected: Option<&PublicKey>,
    earlier: Option<Checkpoint>,
) -> Result<Verified, Broken> {
    let mut verifier = ExportVerifier::new(earlier);
    for line in lines {
        verifier.line(line.as_ref())?;
    }
    verifier.finish(expected)
}

/// Checks an export line by line, in constant memory: [`verify_export`] for those who cannot hand over an iterator.
#[derive(Clone, Debug)]
pub struct ExportVerifier {
    log: Verifier,
    end: Option<Signed<Checkpoint>>,
}

impl ExportVerifier {
    /// Begins an export; `earlier` as for [`Verifier::new`].
    #[must_use]
    pub fn new(earlier: Option<Checkpoint>) -> Self {
        Self { log: Verifier::new(earlier), end: None }
    }

    /// Takes the next line, without its newline.
    ///
    /// # Errors
    /// When it is not as it was written or does not follow from what came before. The verifier is of no further use then.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        let unreadable = |log: &Verifier, why: NotAnEntry| log.broken(Breach::Unreadable(why.to_string()));
        if let Some(end) = &self.end {
            return Err(self.log.broken(Breach::PastEnd { end: end.statement.sequence }));
        }
        let line = str::from_utf8(line).map_err(|_| unreadable(&self.log, NotAnEntry::NotText))?;
        if checkpoint::is_checkpoint(line) {
            self.end = Some(checkpoint::parse(line).map_err(|why| unreadable(&self.log, why))?);
            return Ok(());
        }
        let (sequence, entry, hash) = entry::parse(line).map_err(|why| unreadable(&self.log, why))?;
        self.log.entry(sequence, &entry, &hash)
    }

    /// Ends the export; `expected` as for [`Verifier::finish`].
    ///
    /// # Errors
    /// When the checkpoint is missing, is not of this log or is not signed as it should be.
    pub fn finish(self, expected: Option<&PublicKey>) -> Result<Verified, Broken> {
        match &self.end {
            Some(end) => self.log.finish(end, expected),
            None => Err(self.log.broken(Breach::NoCheckpoint)),
        }
    }
}
