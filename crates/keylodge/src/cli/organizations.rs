//! `keylodge organizations`

use clap::{Args, Subcommand};
use keylodge_client::Resource;

use super::policies::{self, PolicyCommand};
use super::session::{Done, Session};
use super::values::{Limit, last};

#[derive(Debug, Subcommand)]
pub(crate) enum Organizations {
    /// Make an organization
    Create {
        /// A name for people
        #[arg(long, value_name = "NAME")]
        display_name: String,
    },
    /// List the organizations you may see
    List(Limit),
    /// Show an organization
    Describe(OneOrganization),
    #[command(flatten)]
    Policy(PolicyCommand<OneOrganization>),
}

/// The organization that a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct OneOrganization {
    /// The organization, by number
    organization: String,
}

impl From<OneOrganization> for Resource {
    fn from(OneOrganization { organization }: OneOrganization) -> Self {
        Self::Organization(last(&organization))
    }
}

pub(crate) async fn run(session: &Session, command: Organizations) -> Done {
    match command {
        Organizations::Create { display_name } => {
            session.record(&session.client()?.create_organization(&display_name).await?);
        }
        Organizations::List(Limit { limit }) => {
            let organizations = session.client()?.list_organizations(limit).await?;
            session.list(&organizations, &["ID", "DISPLAY NAME", "STATE", "CREATED"], |organization| {
                let words = [&organization.display_name, &organization.state, &organization.create_time];
                std::iter::once(last(&organization.name)).chain(words.map(String::clone)).collect()
            });
        }
        Organizations::Describe(OneOrganization { organization }) => {
            session.record(&session.client()?.get_organization(&organization).await?);
        }
        Organizations::Policy(command) => return policies::run(session, command).await,
    }
    Ok(())
}
