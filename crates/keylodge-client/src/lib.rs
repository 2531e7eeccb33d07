//! Manages a Keylodge from Rust, over the same public API as gcloud and Studio.
//!
//! ```no_run
//! # async fn example() -> Result<(), keylodge_client::ClientError> {
//! use keylodge_client::{Client, NewKey};
//!
//! let client = Client::new("http://127.0.0.1:8585", "klo_…")?;
//! let key = client.create_key("default-project", &NewKey { display_name: Some("CI".into()), ..NewKey::default() }).await?;
//! println!("{}", key.key_string.unwrap_or_default());
//! # Ok(()) }
//! ```
//!
//! It speaks plain HTTP, to a server on the same machine or behind a proxy on it. It never retries a call that may have
//! been carried out: whether a call that broke off was, is for the caller to find out.
//!
//! | what | in |
//! |---|---|
//! | keys as Google has them | `keys`: [`Client::create_key`], [`Client::list_keys`], … |
//! | what Keylodge adds to keys | `key_care`: [`Client::rotate_key`], [`Client::revoke_key`], [`Client::import_keys`], … |
//! | projects, organizations, services | [`Client::create_project`], [`Client::list_organizations`], [`Client::enable_services`], … |
//! | policies and roles | [`Client::alter_iam_policy`], [`Client::list_roles`], … |
//! | upstreams and our credentials there | [`Client::list_upstreams`], [`Client::add_upstream_credential`], … |
//! | usage, refusals, rehearsals | [`Client::usage`], [`Client::explain`], [`Client::rehearse_key`], … |
//! | operators, workspace, audit log | [`Client::create_operator`], [`Client::workspace`], [`Client::export_audit_log`], … |
//!
//! Methods return an error when the server refuses or cannot be reached; [`ClientError`] tells which. A limit is the most
//! items that a list gives; without one it reads every page.

mod audit;
mod error;
mod iam;
mod key_care;
mod keys;
mod limits;
mod lines;
mod operators;
mod organizations;
mod paging;
mod projects;
mod roles;
mod services;
mod transport;
mod upstreams;
mod usage;
mod workspace;

pub use error::{ClientError, Violation};
pub use iam::Resource;
pub use keylodge_api::apikeys::Key;
pub use keylodge_api::resource_manager::v1::Project;
pub use keys::{KeyUpdate, NewKey};
pub use lines::Lines;
pub use projects::{NewProject, ProjectUpdate};
pub use roles::{RoleDraft, RoleParent};
pub use usage::UsageQuestion;

use serde_json::{Value, json};

use transport::Transport;

/// The API of one Keylodge, as one operator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// A client for the server at `url` (`http://host:port`), with an operator's token.
    ///
    /// # Errors
    /// When the URL is not of that form or the token can be no header.
    pub fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(url, token)? })
    }

    /// What became of a long-running operation, by its name or id. Keylodge's are done when they are answered.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn operation(&self, name: &str) -> Result<Value, ClientError> {
        let id = name.strip_prefix("operations/").unwrap_or(name);
        self.transport.get(&format!("/v1/operations/{}", segment(id))).await
    }
}

/// Asks a model through the gate, with an API key instead of an operator's token, and gives the text of the answer, cut
/// at so many tokens.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub async fn generate_content(
    url: &str,
    key: &str,
    model: &str,
    text: &str,
    output_tokens_max: u32,
) -> Result<String, ClientError> {
    let transport = Transport::with_key(url, key)?;
    let body = json!({
        "contents": [{"parts": [{"text": text}]}],
        "generationConfig": {"maxOutputTokens": output_tokens_max},
    });
    let path = format!("/v1/models/{model}:generateContent");
    let answer: Value = transport.post(&path, &body).await?;
    let text = answer.pointer("/candidates/0/content/parts/0/text").and_then(Value::as_str);
    text.map(str::to_owned).ok_or(ClientError::Nonsense { what: "an answer without text" })
}

/// Names have no character that needs encoding; what has one is no name, and the server says so.
fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
