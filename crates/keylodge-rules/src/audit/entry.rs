//! What an audit entry says.

use std::collections::BTreeMap;

use crate::{ProjectNumber, Revision, Timestamp};

/// One call of a management method, as a neutral value. Any text is fine in any field, but no secret belongs in one:
/// the log is made to be handed around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the call was carried out or refused.
    pub time: Timestamp,
    /// Who called, as a member string: `user:ana@example.com`, `serviceAccount:keylodge`. Empty for nobody.
    pub principal: String,
    /// The service, as `apikeys.googleapis.com`.
    pub service: String,
    /// The full name of the method, as `google.api.apikeys.v2.ApiKeys.CreateKey`.
    pub method: String,
    /// The name of what the call was about, as `projects/123456789012/locations/global/keys/web`.
    pub resource: String,
    /// The request, as the server's log names it. Empty where there was none.
    pub request_id: String,
    /// The caller's address. Empty where there was none.
    pub caller_ip: String,
    /// What the caller said it is. Empty where it said nothing.
    pub user_agent: String,
    /// The permission that was checked. Empty where none was.
    pub permission: String,
    /// The project's number and id.
    pub project: Option<(ProjectNumber, String)>,
    /// The long-running operation, as `operations/…`. Empty where there was none.
    pub operation: String,
    /// Why the call was refused (code 7), where it was.
    pub denied: Option<String>,
    /// What was asked, without secrets: field and value.
    pub request: BTreeMap<String, String>,
    /// The place in the change feed of what the call changed.
    pub revision: Option<Revision>,
}

impl Entry {
    /// An entry of this moment that says nothing else yet.
    #[must_use]
    pub const fn at(time: Timestamp) -> Self {
        Self {
            time,
            principal: String::new(),
            service: String::new(),
            method: String::new(),
            resource: String::new(),
            request_id: String::new(),
            caller_ip: String::new(),
            user_agent: String::new(),
            permission: String::new(),
            project: None,
            operation: String::new(),
            denied: None,
            request: BTreeMap::new(),
            revision: None,
        }
    }
}
