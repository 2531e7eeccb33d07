//! Manages the keys and projects of a Keylodge from Rust, over the same public API as gcloud and Studio.
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
//! It speaks plain HTTP, to a server on the same machine or behind a proxy on it. It never retries: whether a call that
//! broke off was carried out is for the caller to find out.

mod error;
mod transport;

pub use error::ClientError;
pub use keylodge_api::apikeys::Key;
pub use keylodge_api::resource_manager::v1::Project;

use keylodge_api::apikeys::{GetKeyStringResponse, ListKeysResponse};
use keylodge_api::operation::Operation;
use keylodge_api::resource_manager::v1::ListProjectsResponse;
use serde_json::{Value, json};

use transport::{Transport, query};

/// The API of one Keylodge, as one operator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
}

/// A key to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// Its id within the project; a UUID if none is chosen.
    pub key_id: Option<String>,
    /// A name for people, at most 63 characters.
    pub display_name: Option<String>,
}

impl Client {
    /// A client for the server at `url` (`http://host:port`), with an operator's token.
    ///
    /// # Errors
    /// When the URL is not of that form or the token can be no header.
    pub fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(url, token)? })
    }

    /// Makes a key and gives it with its string.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_key(&self, project: &str, new: &NewKey) -> Result<Key, ClientError> {
        let path = format!("{}{}", keys(project), query(&[("keyId", new.key_id.as_deref())]));
        let body = json!({"displayName": new.display_name});
        let operation: Operation<Key> = self.transport.call("POST", &path, Some(&body)).await?;
        Ok(operation.response.message)
    }

    /// All keys of a project, in the order they were made.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_keys(&self, project: &str, show_deleted: bool) -> Result<Vec<Key>, ClientError> {
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let deleted = show_deleted.then_some("true");
            let query = query(&[("showDeleted", deleted), ("pageToken", token.as_deref())]);
            let page: ListKeysResponse = self.transport.call("GET", &format!("{}{query}", keys(project)), None).await?;
            all.extend(page.keys);
            token = page.next_page_token;
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// A key without its string.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_key(&self, project: &str, key: &str) -> Result<Key, ClientError> {
        self.transport.call("GET", &key_path(project, key), None).await
    }

    /// The string of a key. Noted in the audit log.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn get_key_string(&self, project: &str, key: &str) -> Result<String, ClientError> {
        let path = format!("{}/keyString", key_path(project, key));
        let answer: GetKeyStringResponse = self.transport.call("GET", &path, None).await?;
        Ok(answer.key_string)
    }

    /// Deletes a key. When this returns, the server refuses it.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn delete_key(&self, project: &str, key: &str) -> Result<Key, ClientError> {
        let operation: Operation<Key> = self.transport.call("DELETE", &key_path(project, key), None).await?;
        Ok(operation.response.message)
    }

    /// Brings a key back that was deleted within the last 30 days.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn undelete_key(&self, project: &str, key: &str) -> Result<Key, ClientError> {
        let path = format!("{}:undelete", key_path(project, key));
        let operation: Operation<Key> = self.transport.call("POST", &path, Some(&json!({}))).await?;
        Ok(operation.response.message)
    }

    /// Makes a project; without an id the server chooses one.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn create_project(&self, id: Option<&str>, name: Option<&str>) -> Result<Project, ClientError> {
        let body = json!({"projectId": id, "name": name});
        let operation: Operation<Project> = self.transport.call("POST", "/v1/projects", Some(&body)).await?;
        Ok(operation.response.message)
    }

    /// All projects, in the order they were made.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn list_projects(&self) -> Result<Vec<Project>, ClientError> {
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let path = format!("/v1/projects{}", query(&[("pageToken", token.as_deref())]));
            let page: ListProjectsResponse = self.transport.call("GET", &path, None).await?;
            all.extend(page.projects);
            token = page.next_page_token;
            if token.is_none() {
                return Ok(all);
            }
        }
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
    let answer: Value = transport.call("POST", &path, Some(&body)).await?;
    let text = answer.pointer("/candidates/0/content/parts/0/text").and_then(Value::as_str);
    text.map(str::to_owned).ok_or(ClientError::Nonsense { what: "an answer without text" })
}

fn keys(project: &str) -> String {
    format!("/v2/projects/{}/locations/global/keys", segment(project))
}

/// A key is named by its id, or by its whole name.
fn key_path(project: &str, key: &str) -> String {
    if key.starts_with("projects/") { format!("/v2/{key}") } else { format!("{}/{}", keys(project), segment(key)) }
}

/// Names have no character that needs encoding; what has one is no name, and the server says so.
fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
