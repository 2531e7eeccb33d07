//! `keylodge audit verify`

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use keylodge_api::admin::AuditCheckpoint;
use keylodge_api::audit_log::{ExportVerifier, parse_checkpoint};
use keylodge_api::timestamp;
use keylodge_rules::audit::{ChainHash, Checkpoint, PublicKey, Signature, Signed, Verified};
use serde_json::json;

use crate::cli::files;
use crate::cli::session::{Done, Failed, Session};

/// The longest line that is read of an export.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An export; - is stdin. Without it, the server is asked for one
    file: Option<PathBuf>,
    /// The node's public key, known from elsewhere; without it, whoever signed passes
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    public_key: Option<PublicKey>,
    /// A checkpoint that was kept from before: the log must still say the same up to there
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

pub(super) async fn verify(session: &Session, Verify { file, public_key, checkpoint }: &Verify) -> Done {
    let earlier = checkpoint.as_deref().map(|file| earlier(file, public_key.as_ref())).transpose()?;
    let mut verifier = ExportVerifier::new(earlier);
    match file {
        Some(file) => from_file(&mut verifier, file)?,
        None => {
            let mut lines = session.client()?.export_audit_log(0).await?;
            while let Some(line) = lines.next().await? {
                verifier.line(&line).map_err(Failed::from)?;
            }
        }
    }
    let Verified { first, entries, checkpoint, signed_by } =
        verifier.finish(public_key.as_ref()).map_err(Failed::from)?;
    session.record(&json!({
        "entries": entries,
        "firstEntry": first,
        "lastEntry": checkpoint.sequence,
        "lastTime": timestamp::print(checkpoint.time),
        "node": checkpoint.node,
        "publicKey": signed_by.to_string(),
    }));
    Ok(())
}

fn from_file(verifier: &mut ExportVerifier, file: &Path) -> Done {
    let failed = |error: io::Error| Failed(format!("cannot read {}: {error}", file.display()));
    let mut reader: Box<dyn BufRead> = match file == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(file).map_err(failed)?)),
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(failed)? == 0 {
            return Ok(());
        }
        // Nothing else is cut off: a carriage return was not written, so it is a change.
        verifier.line(line.strip_suffix(b"\n").unwrap_or(&line)).map_err(Failed::from)?;
    }
}

/// The checkpoint that was kept, as `audit checkpoint` prints it or as the last line of an export. What is kept badly says
/// nothing about the log, so its signature is checked first.
fn earlier(file: &Path, expected: Option<&PublicKey>) -> Result<Checkpoint, Failed> {
    let text = files::read(file)?;
    let wrong = |why: &str| Failed(format!("{} {why}", file.display()));
    let signed = read_signed(text.trim()).ok_or_else(|| wrong("holds no checkpoint"))?;
    if signed.verify().is_err() {
        return Err(wrong("was changed: its signature does not fit it"));
    }
    if expected.is_some_and(|expected| *expected != signed.public_key) {
        return Err(wrong(&format!("is signed with another key than expected: {}", signed.public_key)));
    }
    Ok(signed.statement)
}

fn read_signed(text: &str) -> Option<Signed<Checkpoint>> {
    if let Ok(signed) = parse_checkpoint(text.lines().last()?) {
        return Some(signed);
    }
    let AuditCheckpoint { sequence, hash, time, node, public_key, signature } = serde_json::from_str(text).ok()?;
    Some(Signed {
        statement: Checkpoint { sequence, hash: ChainHash::parse(&hash).ok()?, time: time.0, node },
        public_key: PublicKey::parse(&public_key).ok()?,
        signature: Signature::parse(&signature).ok()?,
    })
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::parse(text).map_err(|_| "a node's public key has 64 lower-case hexadecimal digits".to_owned())
}
