//! Making an ephemeral token: `POST auth_tokens`.

use keylodge_rules::Timestamp;

use super::{Setup, SetupMask};
use crate::proto_json::{Fields, Message};
use crate::timestamp;

/// What `auth_tokens` is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateAuthTokenRequest {
    /// How many sessions may be begun; 0 is no limit.
    pub uses: Option<i32>,
    /// From when on nothing more is taken of whoever uses the token.
    pub expire_time: Option<Timestamp>,
    /// From when on no session begins.
    pub new_session_expire_time: Option<Timestamp>,
    /// What sessions are held to.
    pub bidi_generate_content_setup: Option<Setup>,
    /// Which fields of it are fixed; absent or empty is all of them.
    pub field_mask: Option<SetupMask>,
    /// What the token is good for. Keylodge's own: at Google every token is for Live.
    pub scope: Option<&'static str>,
}

/// The words of a scope; the first is the one that counts where none is said.
const SCOPES: &[&str] = &["LIVE", "API"];

impl Message for CreateAuthTokenRequest {
    const NAME: &str = "google.ai.generativelanguage.v1alpha.AuthToken";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let uses = fields.int32("uses");
        if uses.is_some_and(|uses| uses < 0) {
            fields.refuse("uses", "uses must not be negative; 0 is no limit.");
        }
        let mask = fields.string("fieldMask").map(|text| SetupMask::parse(&text));
        let field_mask = match mask {
            Some(Err(problem)) => {
                fields.refuse("fieldMask", format!("Invalid value at 'field_mask': {problem}"));
                None
            }
            Some(Ok(mask)) => Some(mask),
            None => None,
        };
        Self {
            uses,
            expire_time: moment(fields, "expireTime"),
            new_session_expire_time: moment(fields, "newSessionExpireTime"),
            bidi_generate_content_setup: fields.message("bidiGenerateContentSetup"),
            field_mask: field_mask.filter(|mask| !mask.is_empty()),
            scope: fields.enumeration("scope", "TYPE_ENUM", SCOPES),
        }
    }
}

fn moment(fields: &mut Fields<'_, '_>, name: &str) -> Option<Timestamp> {
    let text = fields.string(name)?;
    let moment = timestamp::parse(&text);
    if moment.is_err() {
        fields.refuse(name, format!("Invalid value at '{}': a moment is written as 2026-01-31T12:00:00Z.", name));
    }
    moment.ok()
}
