//! The services there are: those that Keylodge serves, those that its clients ask for, and those from the settings.

use std::collections::BTreeSet;

use keylodge_api::GEMINI_SERVICE;
use keylodge_rules::ServiceName;

/// A service and what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Its name, as `generativelanguage.googleapis.com`.
    pub name: ServiceName,
    /// Its title for people.
    pub title: String,
}

/// All services, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue(Vec<ServiceEntry>);

/// Name, title, and whether new projects have it on. gcloud switches `cloudapis.googleapis.com` on in each project it
/// makes; the management services are on because they are there.
const BUILT_IN: [(&str, &str, bool); 7] = [
    ("apikeys.googleapis.com", "API Keys API", true),
    ("cloudapis.googleapis.com", "Google Cloud APIs", true),
    ("cloudresourcemanager.googleapis.com", "Cloud Resource Manager API", true),
    (GEMINI_SERVICE, "Generative Language API", true),
    ("iam.googleapis.com", "Identity and Access Management (IAM) API", true),
    ("jules.googleapis.com", "Jules API", false),
    ("serviceusage.googleapis.com", "Service Usage API", true),
];

impl Catalogue {
    /// The built-in services and more of them. One that is named again takes the new title.
    #[must_use]
    pub fn with(more: Vec<ServiceEntry>) -> Self {
        let mut entries = more;
        for (name, title, _) in BUILT_IN {
            if let Ok(name) = ServiceName::parse(name)
                && !entries.iter().any(|entry| entry.name == name)
            {
                entries.push(ServiceEntry { name, title: title.to_owned() });
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Self(entries)
    }

    pub(super) fn services(&self) -> &[ServiceEntry] {
        &self.0
    }

    pub(super) fn find(&self, name: &str) -> Option<&ServiceName> {
        self.0.iter().map(|entry| &entry.name).find(|known| known.as_str() == name)
    }

    pub(super) fn title(&self, service: &ServiceName) -> &str {
        self.0.iter().find(|entry| entry.name == *service).map_or("", |entry| &entry.title)
    }
}

/// The services that a new project has on.
pub(crate) fn on_from_the_start() -> BTreeSet<ServiceName> {
    BUILT_IN.iter().filter(|(_, _, on)| *on).filter_map(|(name, _, _)| ServiceName::parse(name).ok()).collect()
}
