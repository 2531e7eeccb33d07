//! `keylodge deployment`

use clap::{Args, Subcommand};
use keylodge_client::Resource;

use super::policies::{self, PolicyCommand};
use super::session::{Done, Session};

#[derive(Debug, Subcommand)]
pub(crate) enum Deployment {
    #[command(flatten)]
    Policy(PolicyCommand<Everything>),
}

/// There is one deployment, so nothing needs to be said.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Everything {}

impl From<Everything> for Resource {
    fn from(Everything {}: Everything) -> Self {
        Self::Deployment
    }
}

pub(crate) async fn run(session: &Session, Deployment::Policy(command): Deployment) -> Done {
    policies::run(session, command).await
}
