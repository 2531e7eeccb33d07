//! `keylodge keys delete`, `disable`, `revoke` and `bulk-revoke`

use clap::Args;
use keylodge_api::admin::{Receipt, RevokeKeysRequest, RevokeKeysResponse, StopKeyResponse};
use serde_json::json;

use super::{One, show};
use crate::cli::session::{Done, Failed, Session};
use crate::cli::values::{OfProject, Pairs, at, pairs};
use crate::output;

/// The most names that the server takes in one call.
const BATCH: usize = 1000;

/// Which keys to delete. What is given must all be so.
#[derive(Debug, Args)]
pub(crate) struct BulkRevoke {
    /// Ids or uids
    #[arg(required_unless_present_any = ["labels", "owner", "creator", "all"])]
    keys: Vec<String>,
    #[command(flatten)]
    of: OfProject,
    /// Those with these labels, as a=b,c=d
    #[arg(long, value_name = "PAIRS", value_parser = pairs, default_value = "", hide_default_value = true)]
    labels: Pairs,
    /// Those with this owner
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    owner: String,
    /// Those that this member made, as user:ana@example.com
    #[arg(long, value_name = "MEMBER", default_value = "", hide_default_value = true)]
    creator: String,
    /// Every key of the project
    #[arg(long, conflicts_with_all = ["keys", "labels", "owner", "creator"])]
    all: bool,
}

pub(super) async fn delete(session: &Session, One { key, of }: &One) -> Done {
    session.confirm(&format!("Key {key} of project {} will be deleted: whoever uses it is refused.", of.project))?;
    show::key(session, session.client()?.delete_key(&of.project, key).await?);
    Ok(())
}

pub(super) async fn disable(session: &Session, One { key, of }: &One) -> Done {
    session
        .confirm(&format!("Key {key} of project {} will be switched off: whoever uses it is refused.", of.project))?;
    stopped(session, &session.client()?.disable_key(&of.project, key).await?);
    Ok(())
}

pub(super) async fn revoke(session: &Session, One { key, of }: &One) -> Done {
    session.confirm(&format!("Key {key} of project {} will be deleted: whoever uses it is refused.", of.project))?;
    stopped(session, &session.client()?.revoke_key(&of.project, key).await?);
    Ok(())
}

pub(super) async fn bulk_revoke(session: &Session, which: BulkRevoke) -> Done {
    let BulkRevoke { keys, of, labels, owner, creator, all } = which;
    let mut words = Vec::new();
    words.extend((!keys.is_empty()).then(|| format!("named {}", keys.join(", "))));
    words.extend(labels.iter().map(|(name, value)| format!("labelled {name}={value}")));
    words.extend((!owner.is_empty()).then(|| format!("of owner {owner}")));
    words.extend((!creator.is_empty()).then(|| format!("made by {creator}")));
    let which = if all { String::new() } else { format!(" {}", words.join(" and ")) };
    session.confirm(&format!(
        "Every key{which} of project {} will be deleted: whoever uses one is refused.",
        of.project
    ))?;
    let (client, named) = (session.client()?, keys.len());
    let mut batches: Vec<Vec<String>> = keys.chunks(BATCH).map(<[String]>::to_vec).collect();
    if batches.is_empty() {
        batches.push(Vec::new());
    }
    let mut done = RevokeKeysResponse::default();
    for keys in batches {
        let request =
            RevokeKeysRequest { keys, labels: labels.clone(), owner: owner.clone(), creator: creator.clone(), all };
        loop {
            let answer = client.revoke_keys(&of.project, &request).await;
            let RevokeKeysResponse { receipts, more } = answer.map_err(|error| match done.receipts.len() {
                0 => Failed(error.to_string()),
                before => Failed(format!("{before} keys are deleted, and then it went no further: {error}")),
            })?;
            done.receipts.extend(receipts);
            // A batch of names is done in one call; what else there is may take many.
            if !more || named > 0 {
                break;
            }
        }
    }
    session.list(&done.receipts, &["KEY UID", "REASON", "TIME", "REVISION", "NODE"], |receipt| {
        let Receipt { key_uid, reason, time, revision, node, .. } = receipt;
        vec![key_uid.clone(), reason.clone(), at(*time), revision.to_string(), node.clone()]
    });
    // Who names a key in an emergency must hear that it was not stopped by this.
    match named.saturating_sub(done.receipts.len()) {
        0 => Ok(()),
        missed => Err(Failed(format!(
            "{missed} of the {named} keys that were named are not as described, and were left alone"
        ))),
    }
}

fn stopped(session: &Session, answer: &StopKeyResponse) {
    session.print(answer, || output::fields(json!({
        "name": answer.details.name, "uid": answer.details.uid, "state": answer.details.state, "receipt": answer.receipt,
    })));
}
