//! `keylodge keys rotate` and `retire`

use clap::Args;
use keylodge_api::admin::{RotateKeyRequest, Span, Time};

use super::{One, show};
use crate::cli::session::{Done, Session};
use crate::cli::values::{moment, span};

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    key: One,
    #[command(flatten)]
    overlap: Overlap,
}

/// How long the old string stays good. Without any of them it ends at once.
#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
struct Overlap {
    /// Keep the old string good for so long, as 24h
    #[arg(long, value_name = "TIME", value_parser = span)]
    overlap: Option<Span>,
    /// Keep the old string good until then, as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Time>,
    /// Keep the old string good until nobody has used it for so long, as 6h
    #[arg(long, value_name = "TIME", value_parser = span)]
    quiet_period: Option<Span>,
}

pub(super) async fn rotate(session: &Session, Rotate { key: One { key, of }, overlap }: &Rotate) -> Done {
    let Overlap { overlap, until, quiet_period } = *overlap;
    let request = RotateKeyRequest { overlap_until_time: until, overlap, quiet_period };
    if request == RotateKeyRequest::default() {
        session.confirm(&format!(
            "Key {key} of project {} gets a new string, and the old one ends at once: whoever uses it is refused.",
            of.project
        ))?;
    }
    let answer = session.client()?.rotate_key(&of.project, key, &request).await?;
    show::whole(session, &answer.key, &answer.details);
    Ok(())
}

pub(super) async fn retire(session: &Session, One { key, of }: &One) -> Done {
    session.confirm(&format!(
        "The rotated-out strings of key {key} of project {} end now: whoever uses one is refused.",
        of.project
    ))?;
    show::details(session, &session.client()?.retire_key_strings(&of.project, key).await?);
    Ok(())
}
