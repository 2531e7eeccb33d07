//! `keylodge iam`

use clap::{Args, Subcommand};
use keylodge_api::iam::Role;
use keylodge_client::{Resource, RoleDraft, RoleParent};

use super::session::{Done, Failed, Session};
use super::values::Limit;

#[derive(Debug, Subcommand)]
pub(crate) enum Iam {
    /// Predefined roles, and those of projects and organizations
    #[command(subcommand)]
    Roles(Roles),
    /// List which of some permissions you have
    TestPermissions {
        /// As apikeys.keys.create
        #[arg(required = true)]
        permissions: Vec<String>,
        #[command(flatten)]
        of: Of,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Roles {
    /// List the predefined roles, or those of a project or an organization
    List {
        #[command(flatten)]
        of: Of,
        /// Also those that can still be undeleted
        #[arg(long)]
        show_deleted: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a role with its permissions
    Describe {
        #[command(flatten)]
        role: OneRole,
    },
    /// Make a role of a project or an organization
    Create {
        #[command(flatten)]
        role: OneRole,
        #[command(flatten)]
        draft: Draft,
    },
    /// Change what is given of a role
    Update {
        #[command(flatten)]
        role: OneRole,
        #[command(flatten)]
        draft: Draft,
    },
    /// Delete a role: whoever has it loses what it permits
    Delete {
        #[command(flatten)]
        role: OneRole,
    },
    /// Bring a deleted role back
    Undelete {
        #[command(flatten)]
        role: OneRole,
    },
}

/// Where a role belongs, or permissions are asked about.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Of {
    /// A project, by id or number
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// An organization, by number
    #[arg(long, value_name = "NUMBER")]
    organization: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OneRole {
    /// Its id, or its whole name, as roles/viewer or projects/P/roles/R
    role: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Draft {
    /// A title for people
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What it permits, as apikeys.keys.get,apikeys.keys.list
    #[arg(long, value_name = "PERMISSION,…", value_delimiter = ',')]
    permissions: Option<Vec<String>>,
    /// ALPHA, BETA, GA, DEPRECATED, DISABLED or EAP
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
}

pub(crate) async fn run(session: &Session, command: Iam) -> Done {
    match command {
        Iam::Roles(command) => roles(session, command).await,
        Iam::TestPermissions { permissions, of } => {
            let resource = match (of.project, of.organization) {
                (Some(project), _) => Resource::Project(project),
                (None, Some(organization)) => Resource::Organization(organization),
                (None, None) => Resource::Deployment,
            };
            let held = session.client()?.test_iam_permissions(&resource, &permissions).await?;
            session.list(&held, &["PERMISSION"], |permission| vec![permission.clone()]);
            Ok(())
        }
    }
}

async fn roles(session: &Session, command: Roles) -> Done {
    let client = session.client()?;
    match command {
        Roles::List { of, show_deleted, limit } => {
            let roles = client.list_roles(&of.parent(), show_deleted, limit.limit).await?;
            session.list(&roles, &["NAME", "TITLE", "STAGE", "STATE"], |role| {
                let state = if role.deleted { "deleted" } else { "live" };
                vec![role.name.clone(), role.title.clone(), role.stage.clone(), state.to_owned()]
            });
        }
        Roles::Describe { role } => {
            let (id, parent) = role.place();
            show(session, &client.get_role(&parent, &id).await?);
        }
        Roles::Create { role, draft } => {
            let (id, parent) = role.custom()?;
            show(session, &client.create_role(&parent, &id, &draft.into()).await?);
        }
        Roles::Update { role, draft } => {
            let (id, parent) = role.custom()?;
            let draft = RoleDraft::from(draft);
            if draft == RoleDraft::default() {
                return Err(Failed("nothing to change was given; --help lists what can be".to_owned()));
            }
            show(session, &client.update_role(&parent, &id, &draft).await?);
        }
        Roles::Delete { role } => {
            let (id, parent) = role.custom()?;
            session.confirm(&format!("Role {id} will be deleted: whoever has it loses what it permits."))?;
            show(session, &client.delete_role(&parent, &id).await?);
        }
        Roles::Undelete { role } => {
            let (id, parent) = role.custom()?;
            show(session, &client.undelete_role(&parent, &id).await?);
        }
    }
    Ok(())
}

fn show(session: &Session, role: &Role) {
    session.record(role);
}

impl Of {
    fn parent(self) -> RoleParent {
        match (self.project, self.organization) {
            (Some(project), _) => RoleParent::Project(project),
            (None, Some(organization)) => RoleParent::Organization(organization),
            (None, None) => RoleParent::Predefined,
        }
    }
}

impl OneRole {
    /// The role's id, and whose it is: by its whole name where that says so.
    fn place(self) -> (String, RoleParent) {
        let Self { role, of } = self;
        match role.split('/').collect::<Vec<_>>()[..] {
            ["projects", project, "roles", id] => (id.to_owned(), RoleParent::Project(project.to_owned())),
            ["organizations", number, "roles", id] => (id.to_owned(), RoleParent::Organization(number.to_owned())),
            ["roles", id] => (id.to_owned(), RoleParent::Predefined),
            _ => (role, of.parent()),
        }
    }

    /// The same for what predefined roles are not for.
    fn custom(self) -> Result<(String, RoleParent), Failed> {
        match self.place() {
            (id, RoleParent::Predefined) => Err(Failed(format!(
                "say whose role {id} is, with --project or --organization; predefined roles stay as they are"
            ))),
            place => Ok(place),
        }
    }
}

impl From<Draft> for RoleDraft {
    fn from(Draft { title, description, permissions, stage }: Draft) -> Self {
        Self { title, description, included_permissions: permissions, stage }
    }
}
