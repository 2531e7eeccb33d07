//! `keylodge operations`

use clap::Subcommand;

use super::session::{Done, Session};

#[derive(Debug, Subcommand)]
pub(crate) enum Operations {
    /// Show what became of a long-running operation
    Describe {
        /// Its name, as operations/…
        name: String,
    },
}

pub(crate) async fn run(session: &Session, Operations::Describe { name }: Operations) -> Done {
    session.record(&session.client()?.operation(&name).await?);
    Ok(())
}
