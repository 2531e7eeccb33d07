//! `keylodge operators`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keylodge_api::admin::{CreateOperatorRequest, CreateTokenRequest, Operator, Token};
use serde_json::json;

use super::files::NewFile;
use super::session::{Done, Failed, Session};
use super::values::{Expiry, Limit, at, at_if, last};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Operators {
    /// Make an operator and its first token, which is shown this once
    Create {
        /// The id wanted; one is chosen if none is given
        operator_id: Option<String>,
        /// As IAM policies name it: user:… or serviceAccount:…
        #[arg(long, value_name = "MEMBER")]
        member: String,
        /// A name for people
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// A role on the whole deployment, as roles/viewer; may be given again
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        #[command(flatten)]
        expiry: Expiry,
        #[command(flatten)]
        out: Out,
    },
    /// List operators
    List(Limit),
    /// Show an operator
    Describe {
        /// Its id or member; me is you
        #[arg(default_value = "me")]
        operator: String,
    },
    /// Switch an operator off: its tokens prove nobody
    Disable {
        /// Its id or member
        operator: String,
    },
    /// Switch an operator on again
    Enable {
        /// Its id or member
        operator: String,
    },
    /// Bearer tokens of operators
    #[command(subcommand)]
    Tokens(Tokens),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    /// Give an operator one more token, which is shown this once
    Create {
        /// The operator, by id or member; me is you
        #[arg(default_value = "me")]
        operator: String,
        /// A name for people
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        #[command(flatten)]
        expiry: Expiry,
        #[command(flatten)]
        out: Out,
    },
    /// List an operator's tokens
    List {
        /// The operator, by id or member; me is you
        #[arg(default_value = "me")]
        operator: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Revoke a token
    Revoke {
        /// Its id, or its whole name
        token: String,
        /// The operator, by id or member; me is you
        #[arg(long, default_value = "me")]
        operator: String,
    },
}

/// Where a new token goes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Out {
    /// Write the token to this new file, which only you can read, and do not print it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, command: Operators) -> Done {
    match command {
        Operators::Create { operator_id, member, display_name, roles, expiry, out } => {
            let new = CreateOperatorRequest {
                operator_id: operator_id.unwrap_or_default(),
                member,
                display_name: display_name.unwrap_or_default(),
                roles,
                expire_time: expiry.expire_time,
                ttl: expiry.ttl,
            };
            let client = session.client()?;
            let file = out.file()?;
            let mut made = client.create_operator(&new).await?;
            let shown = kept(file, &mut made.token);
            session.print(&made, || {
                let mut value = json!(made.operator);
                value["token"] = json!(made.token.token);
                output::fields(value);
            });
            shown?;
        }
        Operators::List(Limit { limit }) => {
            let operators = session.client()?.list_operators(limit).await?;
            session.list(&operators, &["OPERATOR ID", "MEMBER", "DISPLAY NAME", "STATE", "CREATED"], |operator| {
                let Operator { name, member, display_name, create_time, disable_time, .. } = operator;
                let state = if disable_time.is_some() { "disabled" } else { "live" };
                vec![last(name), member.clone(), display_name.clone(), state.to_owned(), at(*create_time)]
            });
        }
        Operators::Describe { operator } => session.record(&session.client()?.get_operator(&operator).await?),
        Operators::Disable { operator } => {
            session.confirm(&format!("Operator {operator} will be switched off: its tokens prove nobody."))?;
            session.record(&session.client()?.disable_operator(&operator).await?);
        }
        Operators::Enable { operator } => session.record(&session.client()?.enable_operator(&operator).await?),
        Operators::Tokens(command) => return tokens(session, command).await,
    }
    Ok(())
}

async fn tokens(session: &Session, command: Tokens) -> Done {
    match command {
        Tokens::Create { operator, display_name, expiry, out } => {
            let new = CreateTokenRequest {
                display_name: display_name.unwrap_or_default(),
                expire_time: expiry.expire_time,
                ttl: expiry.ttl,
            };
            let client = session.client()?;
            let file = out.file()?;
            let mut made = client.create_token(&operator, &new).await?;
            let shown = kept(file, &mut made);
            session.record(&made);
            shown?;
        }
        Tokens::List { operator, limit } => {
            let tokens = session.client()?.list_tokens(&operator, limit.limit).await?;
            session.list(&tokens, &["TOKEN ID", "DISPLAY NAME", "STATE", "CREATED", "EXPIRES", "LAST USED"], |token| {
                let Token { name, display_name, create_time, expire_time, revoke_time, last_use_time, .. } = token;
                let state = if revoke_time.is_some() { "revoked" } else { "live" };
                let times = [at(*create_time), at_if(*expire_time), at_if(*last_use_time)];
                [last(name), display_name.clone(), state.to_owned()].into_iter().chain(times).collect()
            });
        }
        Tokens::Revoke { token, operator } => {
            let whole = token.strip_prefix("operators/").and_then(|rest| rest.split_once("/tokens/"));
            let (operator, token) = whole.unwrap_or((&operator, &token));
            session.confirm(&format!("Token {token} of operator {operator} will be revoked: it proves nobody."))?;
            session.record(&session.client()?.revoke_token(operator, token).await?);
        }
    }
    Ok(())
}

impl Out {
    fn file(&self) -> Result<Option<NewFile>, Failed> {
        self.out.as_deref().map(NewFile::create).transpose()
    }
}

/// Writes a new token to the file, if there is one; then it is not printed. A token that cannot be written is printed
/// after all, or nobody would have it.
fn kept(file: Option<NewFile>, token: &mut Token) -> Result<(), Failed> {
    let Some(mut file) = file else { return Ok(()) };
    file.line(token.token.as_deref().unwrap_or_default().as_bytes())?;
    file.finish()?;
    token.token = None;
    Ok(())
}
