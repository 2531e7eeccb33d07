//! `keylodge keys`

use clap::Subcommand;
use keylodge_client::{Client, ClientError, Key, NewKey};
use serde_json::json;

use crate::output::{self, Format};

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print its string
    Create {
        /// The project, by id or number
        #[arg(long, default_value = "default-project")]
        project: String,
        /// The key's id within the project; a UUID if none is chosen
        #[arg(long)]
        key_id: Option<String>,
        /// A name for people
        #[arg(long)]
        display_name: Option<String>,
    },
    /// List a project's keys
    List {
        /// The project, by id or number
        #[arg(long, default_value = "default-project")]
        project: String,
        /// Also those that can still be undeleted
        #[arg(long)]
        show_deleted: bool,
    },
    /// Show a key
    Show {
        /// Its id, uid or whole name
        key: String,
        /// The project, by id or number
        #[arg(long, default_value = "default-project")]
        project: String,
        /// Show its string too; noted in the audit log
        #[arg(long)]
        key_string: bool,
    },
    /// Delete a key: refused from now on, and gone for good after 30 days
    Delete {
        /// Its id, uid or whole name
        key: String,
        /// The project, by id or number
        #[arg(long, default_value = "default-project")]
        project: String,
    },
    /// Bring a deleted key back
    Undelete {
        /// Its id, uid or whole name
        key: String,
        /// The project, by id or number
        #[arg(long, default_value = "default-project")]
        project: String,
    },
}

pub(crate) async fn run(client: &Client, command: &Keys, format: Format) -> Result<(), String> {
    let done = match command {
        Keys::Create { project, key_id, display_name } => {
            let new = NewKey { key_id: key_id.clone(), display_name: display_name.clone() };
            client.create_key(project, &new).await.map(|key| show(&key, format))
        }
        Keys::List { project, show_deleted } => {
            client.list_keys(project, *show_deleted).await.map(|keys| list(&keys, format))
        }
        Keys::Show { key, project, key_string } => show_one(client, project, key, *key_string, format).await,
        // Delete and undelete answer with the string as well, as at Google; nobody asked to see it here.
        Keys::Delete { key, project } => {
            client.delete_key(project, key).await.map(|key| show(&Key { key_string: None, ..key }, format))
        }
        Keys::Undelete { key, project } => {
            client.undelete_key(project, key).await.map(|key| show(&Key { key_string: None, ..key }, format))
        }
    };
    done.map_err(|error| error.to_string())
}

async fn show_one(
    client: &Client,
    project: &str,
    key: &str,
    key_string: bool,
    format: Format,
) -> Result<(), ClientError> {
    let mut found = client.get_key(project, key).await?;
    if key_string {
        found.key_string = Some(client.get_key_string(project, key).await?);
    }
    show(&found, format);
    Ok(())
}

fn show(key: &Key, format: Format) {
    if format == Format::Json {
        return output::json(&json!(key));
    }
    let mut rows = vec![
        ("name", Some(key.name.clone())),
        ("display name", Some(key.display_name.clone()).filter(|name| !name.is_empty())),
        ("key string", key.key_string.clone()),
        ("uid", Some(key.uid.clone())),
        ("created", Some(key.create_time.clone())),
        ("deleted", key.delete_time.clone()),
    ];
    rows.retain(|(_, value)| value.is_some());
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value.unwrap_or_default()]);
    output::table(&["FIELD", "VALUE"], rows.collect());
}

fn list(keys: &[Key], format: Format) {
    if format == Format::Json {
        return output::json(&json!(keys));
    }
    let rows = keys.iter().map(|key| {
        let id = key.name.rsplit('/').next().unwrap_or_default().to_owned();
        let state = if key.delete_time.is_some() { "deleted" } else { "live" };
        vec![id, key.display_name.clone(), state.to_owned(), key.create_time.clone()]
    });
    output::table(&["KEY ID", "DISPLAY NAME", "STATE", "CREATED"], rows.collect());
}
