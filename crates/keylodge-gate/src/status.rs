//! What a caller sees of each refusal: code, reason, message and details in one `match`, exact as Google has them.
//!
//! Wire facts: the tables on missing and wrong keys, credentials of the wrong kind, and calls that are not allowed, in
//! Google's Gemini and API Keys documentation and transcripts. Messages never repeat a key.

use keylodge_api::status::Link;
use keylodge_api::{Code, Detail, Status};
use keylodge_rules::Refusal;

use crate::{Surface, Target};

/// The error that answers a refused call.
#[must_use]
pub fn status(refusal: &Refusal, surface: &Surface, target: &Target) -> Status {
    let service = ("service", surface.service.to_string());
    match refusal {
        Refusal::NoCredential => Status::new(
            Code::PermissionDenied,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
        ),
        Refusal::NotAnApiKey => Status::new(
            Code::Unauthenticated,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        )
        .with(Detail::info("ACCESS_TOKEN_TYPE_UNSUPPORTED", vec![service, ("method", target.method.clone())])),
        Refusal::TwoCredentials | Refusal::Malformed(_) | Refusal::UnknownKey => {
            invalid_key("API key not valid. Please pass a valid API key.", service)
        }
        Refusal::KeyDeleted { .. } => invalid_key("API key expired. Please renew the API key.", service),
        Refusal::ProjectDeleted { project } => {
            Status::new(Code::PermissionDenied, format!("Permission denied on resource project {project}."))
                .with(Detail::info("CONSUMER_INVALID", vec![service, ("consumer", format!("projects/{project}"))]))
                .localized()
                .with(help("Keylodge projects", format!("{}/projects", surface.console_url)))
        }
        Refusal::ServiceDisabled { project, service: disabled } => {
            let title = &surface.title;
            let url = format!("{}/apis/{disabled}?project={project}", surface.console_url);
            let message = format!(
                "{title} has not been used in project {project} before or it is disabled. Enable it by visiting {url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
            );
            let metadata = vec![
                service,
                ("serviceTitle", title.clone()),
                ("consumer", format!("projects/{project}")),
                ("containerInfo", project.to_string()),
                ("activationUrl", url.clone()),
            ];
            Status::new(Code::PermissionDenied, message)
                .with(Detail::info("SERVICE_DISABLED", metadata))
                .localized()
                .with(help("Google developers console API activation", url))
        }
    }
}

fn invalid_key(message: &str, service: (&'static str, String)) -> Status {
    Status::new(Code::InvalidArgument, message).with(Detail::info("API_KEY_INVALID", vec![service])).localized()
}

fn help(description: &str, url: String) -> Detail {
    Detail::Help(vec![Link { description: description.to_owned(), url }])
}
