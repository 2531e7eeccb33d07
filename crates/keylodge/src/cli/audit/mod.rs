//! `keylodge audit`

mod tail;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;

use super::files::NewFile;
use super::session::{Done, Session};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Show the latest entries of the audit log
    Tail(tail::Tail),
    /// Write the audit log as lines of JSON that end with the signed checkpoint
    Export {
        /// Write to this new file, which only you can read, and not to stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show the signed end of the audit log; worth keeping elsewhere
    Checkpoint {
        /// Write to this new file, which only you can read, and not to stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check that an export is whole and unaltered; without a file, the server's log as it is now
    Verify(verify::Verify),
}

pub(crate) async fn run(session: &Session, command: Audit) -> Done {
    match command {
        Audit::Tail(tail) => tail::tail(session, &tail).await,
        Audit::Export { out } => export(session, out).await,
        Audit::Checkpoint { out } => checkpoint(session, out).await,
        Audit::Verify(verify) => verify::verify(session, &verify).await,
    }
}

async fn export(session: &Session, out: Option<PathBuf>) -> Done {
    let client = session.client()?;
    let mut file = out.as_deref().map(NewFile::create).transpose()?;
    let mut lines = client.export_audit_log(0).await?;
    while let Some(line) = lines.next().await? {
        match &mut file {
            Some(file) => file.line(&line)?,
            // Whoever read has gone away, so the rest is for nobody.
            None if output::line(&line).is_err() => return Ok(()),
            None => {}
        }
    }
    file.map_or(Ok(()), NewFile::finish)
}

async fn checkpoint(session: &Session, out: Option<PathBuf>) -> Done {
    let client = session.client()?;
    let file = out.as_deref().map(NewFile::create).transpose()?;
    let checkpoint = client.audit_checkpoint().await?;
    let Some(mut file) = file else {
        session.record(&checkpoint);
        return Ok(());
    };
    let text = serde_json::to_string(&checkpoint).map_err(|error| error.to_string())?;
    file.line(text.as_bytes())?;
    file.finish()
}
