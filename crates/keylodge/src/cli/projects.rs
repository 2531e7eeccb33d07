//! `keylodge projects`

use clap::{Args, Subcommand};
use keylodge_api::admin::PatchProjectSettingsRequest;
use keylodge_client::{NewProject, Project, ProjectUpdate, Resource};

use super::policies::{self, PolicyCommand};
use super::session::{Done, Failed, Session};
use super::values::{Limit, Pairs, pairs};

#[derive(Debug, Subcommand)]
pub(crate) enum Projects {
    /// Make a project
    Create {
        /// Its id, for ever; the server chooses one if none is given
        project_id: Option<String>,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
        /// Labels, as a=b,c=d
        #[arg(long, value_name = "PAIRS", value_parser = pairs, default_value = "", hide_default_value = true)]
        labels: Pairs,
        /// The organization that owns it, by number
        #[arg(long, value_name = "NUMBER")]
        organization: Option<String>,
    },
    /// List the projects you may see
    List {
        /// Those that match, as lifecycleState:ACTIVE AND id:"team-*"
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a project
    Describe(OneProject),
    /// Change a project's name and labels
    Update {
        #[command(flatten)]
        project: OneProject,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
        /// Labels in place of what there is, as a=b,c=d
        #[arg(long, value_name = "PAIRS", value_parser = pairs)]
        labels: Option<Pairs>,
        /// Remove all labels
        #[arg(long, conflicts_with = "labels")]
        clear_labels: bool,
    },
    /// Delete a project: its keys are refused from now on, and it is gone for good after 30 days
    Delete(OneProject),
    /// Bring a deleted project back
    Undelete(OneProject),
    /// Find projects by a query, as displayName:"team*"
    Search {
        /// What to look for; everything if nothing is given
        query: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Put a project under an organization
    Move {
        #[command(flatten)]
        project: OneProject,
        /// The organization, by number
        #[arg(long, value_name = "NUMBER")]
        organization: String,
    },
    #[command(flatten)]
    Policy(PolicyCommand<OneProject>),
    /// How a project treats its keys
    #[command(subcommand)]
    Settings(Settings),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// Show how a project treats its keys
    Show(OneProject),
    /// Change how a project treats its keys
    Set {
        #[command(flatten)]
        project: OneProject,
        /// Show strings of new keys when they are made and never again
        #[arg(long, value_name = "YES")]
        key_strings_shown_once: Option<bool>,
        /// Refuse keys that are neither restricted nor bound to a service account
        #[arg(long, value_name = "YES")]
        standard_keys_must_be_restricted: Option<bool>,
    },
}

/// The project that a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct OneProject {
    /// The project, by id or number
    project: String,
}

impl From<OneProject> for Resource {
    fn from(OneProject { project }: OneProject) -> Self {
        Self::Project(project)
    }
}

pub(crate) async fn run(session: &Session, command: Projects) -> Done {
    match command {
        Projects::Create { project_id, name, labels, organization } => {
            let new = NewProject { project_id, name, labels, organization };
            one(session, &session.client()?.create_project(&new).await?);
        }
        Projects::List { filter, limit } => {
            list(session, &session.client()?.list_projects(filter.as_deref(), limit.limit).await?);
        }
        Projects::Describe(OneProject { project }) => session.record(&session.client()?.get_project(&project).await?),
        Projects::Update { project: OneProject { project }, name, labels, clear_labels } => {
            let labels = if clear_labels { Some(Pairs::new()) } else { labels };
            let update = ProjectUpdate { display_name: name, labels };
            if update == ProjectUpdate::default() {
                return Err(Failed("nothing to change was given; --name and --labels can be".to_owned()));
            }
            one(session, &session.client()?.update_project(&project, &update).await?);
        }
        Projects::Delete(OneProject { project }) => {
            session.confirm(&format!("Project {project} will be deleted: all of its keys are refused."))?;
            one(session, &session.client()?.delete_project(&project).await?);
        }
        Projects::Undelete(OneProject { project }) => {
            one(session, &session.client()?.undelete_project(&project).await?);
        }
        Projects::Search { query, limit } => {
            list(session, &session.client()?.search_projects(query.as_deref(), limit.limit).await?);
        }
        Projects::Move { project: OneProject { project }, organization } => {
            one(session, &session.client()?.move_project(&project, &organization).await?);
        }
        Projects::Policy(command) => return policies::run(session, command).await,
        Projects::Settings(Settings::Show(OneProject { project })) => {
            session.record(&session.client()?.project_settings(&project).await?);
        }
        Projects::Settings(Settings::Set {
            project: OneProject { project },
            key_strings_shown_once,
            standard_keys_must_be_restricted,
        }) => {
            let changes = PatchProjectSettingsRequest { key_strings_shown_once, standard_keys_must_be_restricted };
            session.record(&session.client()?.patch_project_settings(&project, &changes).await?);
        }
    }
    Ok(())
}

pub(super) const HEADER: &[&str] = &["PROJECT ID", "NAME", "NUMBER", "STATE"];

pub(super) fn row(project: &Project) -> Vec<String> {
    let Project { project_id, name, project_number, lifecycle_state, .. } = project;
    vec![project_id.clone(), name.clone(), project_number.clone(), lifecycle_state.clone()]
}

pub(super) fn list(session: &Session, projects: &[Project]) {
    session.list(projects, HEADER, row);
}

/// Prints what a command made of a project.
pub(super) fn one(session: &Session, project: &Project) {
    session.print(project, || crate::output::table(HEADER, vec![row(project)]));
}
