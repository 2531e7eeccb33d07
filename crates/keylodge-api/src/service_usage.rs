//! Service Usage v1 (`google.api.serviceusage.v1`).

use serde::{Deserialize, Serialize};

use crate::proto_json::{Empty, Fields, Message};

/// The full name of the answer to enable.
pub const ENABLE_TYPE: &str = "google.api.serviceusage.v1.EnableServiceResponse";
/// The full name of the answer to disable.
pub const DISABLE_TYPE: &str = "google.api.serviceusage.v1.DisableServiceResponse";

/// A service and whether a project has it on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// `projects/<number>/services/<service>`
    pub name: String,
    /// `projects/<number>`
    pub parent: String,
    /// What it is.
    pub config: ServiceConfig,
    /// `ENABLED` or `DISABLED`.
    pub state: String,
}

/// What a service is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceConfig {
    /// Its name.
    pub name: String,
    /// Its title for people.
    pub title: String,
    /// What it is, in a sentence; only where one service is asked for, as the fields below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documentation: Option<Documentation>,
    /// Nothing: limits are Keylodge's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Empty>,
    /// Nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Empty>,
    /// Nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Empty>,
}

/// What a service is, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Documentation {
    /// A sentence.
    pub summary: String,
}

/// What enable and disable answer with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAnswer {
    /// The service, as it is now.
    pub service: Service,
}

/// The full name of the answer to batchEnable.
pub const BATCH_ENABLE_TYPE: &str = "google.api.serviceusage.v1.BatchEnableServicesResponse";

/// What batchEnable answers with: all or nothing, so no failures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchEnableAnswer {
    /// The services, as they are now.
    pub services: Vec<Service>,
}

/// A page of services, also what batchGet answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListServicesResponse {
    /// The services of this page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// The body of enable.
pub use crate::proto_json::Empty as EnableServiceRequest;

/// The body of disable. Keylodge's services depend on none of each other, so both options change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisableServiceRequest;

impl Message for DisableServiceRequest {
    const NAME: &str = "google.api.serviceusage.v1.DisableServiceRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        fields.boolean("disableDependentServices");
        fields.enumeration(
            "checkIfServiceHasUsage",
            "type.googleapis.com/google.api.serviceusage.v1.DisableServiceRequest.CheckIfServiceHasUsage",
            &["CHECK_IF_SERVICE_HAS_USAGE_UNSPECIFIED", "SKIP", "CHECK"],
        );
        Self
    }
}

/// The body of batchEnable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchEnableServicesRequest {
    /// The names of the services, at most 20.
    pub service_ids: Vec<String>,
}

impl Message for BatchEnableServicesRequest {
    const NAME: &str = "google.api.serviceusage.v1.BatchEnableServicesRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let service_ids = fields.strings("serviceIds");
        if service_ids.is_empty() {
            fields.refuse("serviceIds", "service_ids must name at least one service.");
        }
        if service_ids.len() > 20 {
            fields.refuse("serviceIds", "service_ids must name at most 20 services.");
        }
        Self { service_ids }
    }
}
