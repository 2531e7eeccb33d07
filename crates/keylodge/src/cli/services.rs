//! `keylodge services`

use clap::Subcommand;
use keylodge_api::service_usage::Service;

use super::session::{Done, Session};
use super::values::{Limit, OfProject};

#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// List the services that a project has on
    List {
        #[command(flatten)]
        of: OfProject,
        /// All that there are
        #[arg(long)]
        available: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// Switch services on, all or none
    Enable {
        /// As generativelanguage.googleapis.com
        #[arg(required = true)]
        services: Vec<String>,
        #[command(flatten)]
        of: OfProject,
    },
    /// Switch services off: keys are refused there
    Disable {
        /// As generativelanguage.googleapis.com
        #[arg(required = true)]
        services: Vec<String>,
        /// Also those that depend on them
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        of: OfProject,
    },
    /// Show a service
    Describe {
        /// As generativelanguage.googleapis.com
        service: String,
        #[command(flatten)]
        of: OfProject,
    },
}

pub(crate) async fn run(session: &Session, command: Services) -> Done {
    match command {
        Services::List { of, available, limit } => {
            let filter = (!available).then_some("state:ENABLED");
            list(session, &session.client()?.list_services(&of.project, filter, limit.limit).await?);
        }
        Services::Enable { services, of } => {
            list(session, &session.client()?.enable_services(&of.project, &services).await?);
        }
        Services::Disable { services, force, of } => {
            session.confirm(&format!(
                "Project {} will be without {}: its keys are refused there.",
                of.project,
                services.join(", ")
            ))?;
            let mut off = Vec::new();
            for service in &services {
                off.push(session.client()?.disable_service(&of.project, service, force).await?);
            }
            list(session, &off);
        }
        Services::Describe { service, of } => {
            session.record(&session.client()?.get_service(&of.project, &service).await?);
        }
    }
    Ok(())
}

fn list(session: &Session, services: &[Service]) {
    session.list(services, &["NAME", "TITLE", "STATE"], |Service { config, state, .. }| {
        vec![config.name.clone(), config.title.clone(), state.clone()]
    });
}
