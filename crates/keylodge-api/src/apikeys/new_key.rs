//! What a caller sends to make a key.

use std::collections::BTreeMap;

use keylodge_rules::Restrictions;

use super::restrictions::{self, RESTRICTIONS};
use crate::proto_json::{Fields, Message};

/// Output-only fields of a key, in the order of the message and without the etag.
pub(super) const OUTPUT_ONLY: [&str; 6] = ["name", "keyString", "createTime", "uid", "updateTime", "deleteTime"];

/// A key to be made. Output-only fields are read past, as AIP-203 has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// A name for people.
    pub display_name: String,
    /// Free data.
    pub annotations: BTreeMap<String, String>,
    /// What narrows it. gcloud always sends an empty message, which is none.
    pub restrictions: Restrictions,
    /// The service account it is to act as.
    pub service_account_email: Option<String>,
}

impl Message for NewKey {
    const NAME: &str = "google.api.apikeys.v2.Key";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        for output_only in OUTPUT_ONLY {
            fields.any(output_only);
        }
        fields.any("etag");
        let restrictions =
            fields.message_with("restrictions", RESTRICTIONS, |fields| restrictions::read(fields, |_| true));
        let restrictions = restrictions.unwrap_or_default();
        let service_account_email = fields.string("serviceAccountEmail").filter(|email| !email.is_empty());
        if !service_account_email.as_deref().is_none_or(is_email) {
            fields.refuse(
                "serviceAccountEmail",
                "A service account is named by its e-mail address, as name@project.iam.gserviceaccount.com.",
            );
        }
        for (field, description) in restrictions::mistakes(&restrictions, service_account_email.as_deref()) {
            fields.refuse(field, description);
        }
        let display_name = display_name(fields).unwrap_or_default();
        let annotations = annotations(fields);
        Self { display_name, annotations, restrictions, service_account_email }
    }
}

/// The name for people, if it is given.
pub(super) fn display_name(fields: &mut Fields<'_, '_>) -> Option<String> {
    let display_name = fields.string("displayName");
    if display_name.as_ref().is_some_and(|name| name.chars().count() > 63) {
        fields.refuse("displayName", "key.display_name must have at most 63 characters.");
    }
    display_name
}

/// The free data; absent reads as empty.
pub(super) fn annotations(fields: &mut Fields<'_, '_>) -> BTreeMap<String, String> {
    let annotations = fields.string_map("annotations");
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > 256 * 1024 {
        fields.refuse("annotations", "key.annotations must have at most 256 KiB in all (AIP-148).");
    }
    annotations
}

/// Whether a text looks like an address at a domain. Whether the account exists is for others to find out.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
    text.len() <= 254
        && !local.is_empty()
        && local.bytes().all(fits)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}
