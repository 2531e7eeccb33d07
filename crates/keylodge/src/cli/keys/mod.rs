//! `keylodge keys`

mod create;
mod import;
mod rehearse;
mod rotate;
mod show;
mod stop;

pub(super) use show::with_string;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keylodge_api::admin::Caller;
use serde_json::json;

use super::files;
use super::limits::{self, Rules};
use super::session::{Done, Session};
use super::values::{Limit, OfProject, at};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print its string
    Create(Box<create::Create>),
    /// List a project's keys
    List {
        #[command(flatten)]
        of: OfProject,
        /// Also those that can still be undeleted
        #[arg(long)]
        show_deleted: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a key: what narrows it, its state, owner, strings and last use
    #[command(visible_alias = "describe")]
    Show {
        #[command(flatten)]
        key: One,
        /// Show its string too; noted in the audit log
        #[arg(long)]
        key_string: bool,
    },
    /// Print a key's string; noted in the audit log
    GetKeyString(One),
    /// Change a key's name, annotations and restrictions
    Update(Box<create::Update>),
    /// Change a key's expiry, owner, purpose and labels
    Set(Box<create::Set>),
    /// What narrows a key besides its restrictions: models, hours, limits
    #[command(subcommand)]
    Rules(Rules),
    /// Delete a key: refused from now on, and gone for good after 30 days
    Delete(One),
    /// Bring a deleted key back
    Undelete(One),
    /// Find the key that a string belongs to; the string is read from stdin or a file
    Lookup {
        /// File with the string; - is stdin
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Switch a key on again
    Enable(One),
    /// Switch a key off, with a signed receipt
    Disable(One),
    /// Delete a key, with a signed receipt
    Revoke(One),
    /// Delete many keys, with signed receipts
    BulkRevoke(stop::BulkRevoke),
    /// Give a key a new string; the old one ends at once, or after an overlap
    Rotate(rotate::Rotate),
    /// End the overlap of a rotation now
    Retire(One),
    /// List who used a key
    Callers(One),
    /// Show this node's signed word that it refuses a key
    Receipt(One),
    /// Try restrictions and limits on what the key was used for: who would have been refused
    Rehearse(Box<rehearse::Rehearse>),
    /// Take over keys of another gateway
    Import(Box<import::Import>),
}

/// The key that a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct One {
    /// Its id, uid or whole name
    pub(super) key: String,
    #[command(flatten)]
    pub(super) of: OfProject,
}

pub(crate) async fn run(session: &Session, command: Keys) -> Done {
    match command {
        Keys::Create(create) => create::create(session, *create).await,
        Keys::List { of, show_deleted, limit } => {
            let keys = session.client()?.list_keys(&of.project, show_deleted, limit.limit).await?;
            show::list(session, &keys);
            Ok(())
        }
        Keys::Show { key, key_string } => show::show(session, &key, key_string).await,
        Keys::GetKeyString(One { key, of }) => {
            let string = session.client()?.get_key_string(&of.project, &key).await?;
            session.print(&json!({ "keyString": string }), || output::say(&string));
            Ok(())
        }
        Keys::Update(update) => create::update(session, *update).await,
        Keys::Set(set) => create::set(session, *set).await,
        Keys::Rules(command) => limits::rules(session, command).await,
        Keys::Delete(key) => stop::delete(session, &key).await,
        Keys::Undelete(One { key, of }) => {
            show::key(session, session.client()?.undelete_key(&of.project, &key).await?);
            Ok(())
        }
        Keys::Lookup { file } => {
            let string = files::read_secret(&file, "key string")?;
            session.record(&session.client()?.lookup_key(&string).await?);
            Ok(())
        }
        Keys::Enable(One { key, of }) => {
            show::details(session, &session.client()?.enable_key(&of.project, &key).await?);
            Ok(())
        }
        Keys::Disable(key) => stop::disable(session, &key).await,
        Keys::Revoke(key) => stop::revoke(session, &key).await,
        Keys::BulkRevoke(which) => stop::bulk_revoke(session, which).await,
        Keys::Rotate(rotate) => rotate::rotate(session, &rotate).await,
        Keys::Retire(key) => rotate::retire(session, &key).await,
        Keys::Callers(One { key, of }) => {
            let callers = session.client()?.key_callers(&of.project, &key).await?.callers;
            session.list(&callers, &["ADDRESS", "CLIENT", "CALLS", "STRING", "FIRST", "LAST"], caller);
            Ok(())
        }
        Keys::Receipt(One { key, of }) => {
            session.record(&session.client()?.key_receipt(&of.project, &key).await?);
            Ok(())
        }
        Keys::Rehearse(rehearse) => rehearse::rehearse(session, *rehearse).await,
        Keys::Import(import) => import::import(session, *import).await,
    }
}

fn caller(caller: &Caller) -> Vec<String> {
    let Caller { generation, caller_ip, client, calls, first_time, last_time } = caller;
    let numbers = [calls.to_string(), generation.to_string(), at(*first_time), at(*last_time)];
    [caller_ip.clone(), client.clone()].into_iter().chain(numbers).collect()
}
