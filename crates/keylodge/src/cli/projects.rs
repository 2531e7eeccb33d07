//! `keylodge projects`

use clap::Subcommand;
use keylodge_client::{Client, Project};
use serde_json::json;

use crate::output::{self, Format};

#[derive(Debug, Subcommand)]
pub(crate) enum Projects {
    /// Make a project
    Create {
        /// Its id, for ever; the server chooses one if none is given
        project_id: Option<String>,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
    },
    /// List all projects
    List,
}

pub(crate) async fn run(client: &Client, command: &Projects, format: Format) -> Result<(), String> {
    let done = match command {
        Projects::Create { project_id, name } => {
            let made = client.create_project(project_id.as_deref(), name.as_deref()).await;
            made.map(|project| match format {
                Format::Json => output::json(&json!(project)),
                Format::Table => list(&[project]),
            })
        }
        Projects::List => client.list_projects().await.map(|projects| match format {
            Format::Json => output::json(&json!(projects)),
            Format::Table => list(&projects),
        }),
    };
    done.map_err(|error| error.to_string())
}

fn list(projects: &[Project]) {
    let rows = projects.iter().map(|project| {
        vec![
            project.project_id.clone(),
            project.name.clone(),
            project.project_number.clone(),
            project.lifecycle_state.clone(),
        ]
    });
    output::table(&["PROJECT ID", "NAME", "NUMBER", "STATE"], rows.collect());
}
