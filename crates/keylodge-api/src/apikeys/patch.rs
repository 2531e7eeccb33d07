//! What a caller sends to update a key.

use std::collections::BTreeMap;

use keylodge_rules::{ApiTarget, ClientRestriction, Restrictions};

use super::new_key::{OUTPUT_ONLY, annotations, display_name};
use super::restrictions::{self, RESTRICTIONS};
use super::{ClientKind, KeyMask, KeyPath};
use crate::Status;
use crate::proto_json::{Fields, parse_with};
use crate::status::FieldViolation;

/// An update of a key: what is `Some` replaces what was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPatch {
    /// A name for people.
    pub display_name: Option<String>,
    /// Free data, as a whole.
    pub annotations: Option<BTreeMap<String, String>>,
    /// What becomes of the restrictions.
    pub restrictions: RestrictionsPatch,
    /// The etag that the key must still have.
    pub etag: Option<String>,
}

/// What an update makes of restrictions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestrictionsPatch {
    /// What becomes of the client restriction, if anything.
    pub client: Option<ClientPatch>,
    /// The new API targets; an empty list lifts them.
    pub api_targets: Option<Vec<ApiTarget>>,
}

/// What an update makes of the client restriction. The kinds are members of one oneof: setting one replaces whichever was
/// there, and clearing one leaves the others alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientPatch {
    /// This takes the place of whichever was there.
    Replace(ClientRestriction),
    /// The one that is there goes if it is of one of these kinds.
    Lift(Vec<ClientKind>),
}

impl KeyPatch {
    /// Reads an update from its mask (the parameter `updateMask`) and body. A field in the mask that the body does not set
    /// is cleared. What lies outside the mask changes nothing, so it need only be of the right form.
    ///
    /// # Errors
    /// INVALID_ARGUMENT that names every mistake in both.
    pub fn parse(update_mask: Option<&str>, body: &[u8]) -> Result<Self, Status> {
        match KeyMask::parse(update_mask) {
            Ok(mask) => parse_with("key", body, |fields| Self::read(fields, &mask)),
            Err(wrong_mask) => {
                // Which values count is not known then, but the body's form can be told.
                let nothing = KeyMask::Paths([].into());
                let wrong_body = parse_with("key", body, |fields| Self::read(fields, &nothing)).err();
                Err(wrong_body.into_iter().fold(wrong_mask, Status::and))
            }
        }
    }

    fn read(fields: &mut Fields<'_, '_>, mask: &KeyMask) -> Self {
        for output_only in OUTPUT_ONLY {
            fields.any(output_only);
        }
        // Set at creation; who sends back what was read must not be refused for it.
        fields.any("serviceAccountEmail");
        let etag = fields.string("etag").filter(|etag| !etag.is_empty());
        // A default value in the body means that the field is not set, as everywhere in proto3.
        fields.heed(mask.covers(KeyPath::DisplayName, true));
        let display_name = display_name(fields).unwrap_or_default();
        fields.heed(mask.covers(KeyPath::Annotations, true));
        let annotations = annotations(fields);
        let restrictions = fields.message_with("restrictions", RESTRICTIONS, |fields| {
            restrictions::read(fields, |kind| mask.covers(kind.map_or(KeyPath::ApiTargets, KeyPath::of), true))
        });
        Self {
            etag,
            display_name: mask.covers(KeyPath::DisplayName, !display_name.is_empty()).then_some(display_name),
            annotations: mask.covers(KeyPath::Annotations, !annotations.is_empty()).then_some(annotations),
            restrictions: RestrictionsPatch::new(restrictions.unwrap_or_default(), mask),
        }
    }
}

impl RestrictionsPatch {
    /// An empty message counts as not set: gcloud sends it with every update.
    fn new(given: Restrictions, mask: &KeyMask) -> Self {
        let is_set = !given.is_unrestricted();
        let lifted = ClientKind::ALL.into_iter().filter(|kind| mask.covers(KeyPath::of(*kind), is_set));
        let lifted: Vec<ClientKind> = lifted.collect();
        let client = match given.client {
            Some(client) if lifted.contains(&ClientKind::of(&client)) => Some(ClientPatch::Replace(client)),
            _ if lifted.is_empty() => None,
            _ => Some(ClientPatch::Lift(lifted)),
        };
        let api_targets = mask.covers(KeyPath::ApiTargets, is_set).then_some(given.api_targets);
        Self { client, api_targets }
    }

    /// The restrictions after the update of a key that had `old` ones and is bound to this service account, if to any.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when old and new together break a rule: too many entries, or a client restriction that a bound
    /// key cannot have.
    pub fn apply(&self, old: &Restrictions, service_account: Option<&str>) -> Result<Restrictions, Status> {
        let client = match &self.client {
            Some(ClientPatch::Replace(client)) => Some(client.clone()),
            Some(ClientPatch::Lift(kinds)) => {
                old.client.clone().filter(|client| !kinds.contains(&ClientKind::of(client)))
            }
            None => old.client.clone(),
        };
        let api_targets = self.api_targets.clone().unwrap_or_else(|| old.api_targets.clone());
        let new = Restrictions { client, api_targets };
        // What was there stays allowed, even if it came in under other rules.
        let mistakes = if new == *old { Vec::new() } else { restrictions::mistakes(&new, service_account) };
        if mistakes.is_empty() {
            return Ok(new);
        }
        let violation = |(field, description)| FieldViolation { field: format!("key.{field}"), description };
        Err(Status::bad_request(mistakes.into_iter().map(violation).collect()))
    }
}
