//! Service Usage v1 (`google.api.serviceusage.v1`).

use serde::{Deserialize, Serialize};

use crate::proto_json::{Fields, Message};

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
}

/// What enable and disable answer with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAnswer {
    /// The service, as it is now.
    pub service: Service,
}

/// The body of enable and disable. Keylodge's services depend on none of each other, so both options change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchService;

impl Message for SwitchService {
    const NAME: &str = "google.api.serviceusage.v1.EnableServiceRequest";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        fields.boolean("disableDependentServices");
        fields.string("checkIfServiceHasUsage");
        Self
    }
}
