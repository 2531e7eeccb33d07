//! `keylodge workspace`

use clap::Subcommand;
use keylodge_api::admin::{
    AcceptTermsResponse, CreateWorkspaceKeyRequest, CreateWorkspaceProjectsRequest, NewWorkspaceProject, WorkspaceKey,
};
use serde_json::json;

use super::session::{Done, Session};
use super::values::last;
use super::{keys, projects};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Workspace {
    /// Show your workspace and its limits
    Show,
    /// Accept the terms; whoever is new gets a project and a key
    AcceptTerms {
        /// The version that you read; the one there is if none is given
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
    },
    /// The projects in your workspace
    #[command(subcommand)]
    Projects(Projects),
    /// The keys in your workspace
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Projects {
    /// List the projects in your workspace
    List {
        /// Those with this in their name or id
        query: Option<String>,
    },
    /// Make a project in your workspace
    Create {
        /// The id wanted; one is chosen if none is given
        project_id: Option<String>,
        /// A name for people, 4 to 30 characters
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        display_name: String,
    },
    /// Find projects that are not in your workspace yet
    Search {
        /// A part of their name or id; everything if nothing is given
        query: Option<String>,
    },
    /// Take a project into your workspace
    Import {
        /// The project, by id or number
        project: String,
    },
    /// Take a project out of your workspace; the project stays
    Remove {
        /// The project, by id or number
        project: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// List the keys in your workspace, the newest first
    List,
    /// Make a key for the Gemini API or for Jules
    Create {
        /// The project, by id or number
        #[arg(long, value_name = "PROJECT", default_value = "default-project")]
        project: String,
        /// A name for people
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        display_name: String,
        /// The service it is for: generativelanguage.googleapis.com or jules.googleapis.com
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        service: String,
    },
}

pub(crate) async fn run(session: &Session, command: Workspace) -> Done {
    let client = session.client()?;
    match command {
        Workspace::Show => session.record(&client.workspace().await?),
        Workspace::AcceptTerms { version } => {
            let version = match version {
                Some(version) => version,
                None => client.workspace().await?.terms_version,
            };
            let accepted = client.accept_terms(&version).await?;
            session.print(&accepted, || {
                let AcceptTermsResponse { workspace, project, key } = &accepted;
                let mut fields = json!(workspace);
                fields["project"] = json!(project.as_ref().map(|project| &project.project_id));
                fields["keyString"] = json!(key.as_ref().and_then(|key| key.key_string.as_ref()));
                output::fields(fields);
            });
        }
        Workspace::Projects(Projects::List { query }) => {
            projects::list(session, &client.list_workspace_projects(query.as_deref()).await?);
        }
        Workspace::Projects(Projects::Create { project_id, display_name }) => {
            let project = NewWorkspaceProject { project_id: project_id.unwrap_or_default(), display_name };
            let new = CreateWorkspaceProjectsRequest { projects: vec![project] };
            projects::list(session, &client.create_workspace_projects(&new).await?);
        }
        Workspace::Projects(Projects::Search { query }) => {
            projects::list(session, &client.search_workspace_projects(query.as_deref()).await?);
        }
        Workspace::Projects(Projects::Import { project }) => {
            projects::one(session, &client.import_workspace_project(&project).await?);
        }
        Workspace::Projects(Projects::Remove { project }) => {
            client.remove_workspace_project(&project).await?;
            projects::list(session, &client.list_workspace_projects(None).await?);
        }
        Workspace::Keys(Keys::List) => {
            let keys = client.list_workspace_keys().await?;
            session.list(&keys, &["KEY ID", "DISPLAY NAME", "PROJECT ID", "CREATED"], |listed| {
                let WorkspaceKey { key, project_id, .. } = listed;
                vec![last(&key.name), key.display_name.clone(), project_id.clone(), key.create_time.clone()]
            });
        }
        Workspace::Keys(Keys::Create { project, display_name, service }) => {
            let new = CreateWorkspaceKeyRequest { project, display_name, service };
            keys::with_string(session, &client.create_workspace_key(&new).await?);
        }
    }
    Ok(())
}
