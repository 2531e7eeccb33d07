//! Resource Manager: projects and the organizations that own them, in both versions that clients speak.
//!
//! gcloud's commands use [`v1`], the Python client and gcloud's alpha commands [`v3`]. Both describe the same projects.

pub mod v1;
pub mod v3;

use std::collections::BTreeMap;

use keylodge_rules::names::is_label;

use crate::proto_json::Fields;

/// Labels of a project (Resource Manager: at most 64, keys and values of at most 63 characters).
pub(crate) fn labels(fields: &mut Fields<'_, '_>) -> BTreeMap<String, String> {
    let labels = fields.string_map("labels");
    if let Some(mistake) = mistake_in_labels(&labels) {
        fields.refuse("labels", mistake);
    }
    labels
}

/// What is wrong with labels, as a sentence; nothing where they are in order.
#[must_use]
pub fn mistake_in_labels(labels: &BTreeMap<String, String>) -> Option<&'static str> {
    let fits = |text: &str| text.len() <= 63 && is_label(text);
    if labels.len() > 64 {
        return Some("There can be at most 64 labels.");
    }
    if !labels.iter().all(|(key, value)| fits(key) && (value.is_empty() || fits(value))) {
        return Some(
            "Keys and values of labels have at most 63 lower-case letters, digits and hyphens, start with a letter and do not end with a hyphen; values may be empty.",
        );
    }
    None
}
