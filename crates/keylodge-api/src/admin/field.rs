//! The kinds of fields that requests of Keylodge's own API have, each with its reading and its schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use keylodge_rules::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::proto_json::{Fields, Message};
use crate::timestamp;

/// A moment, RFC 3339 on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Timestamp);

/// A length of time, as `3600s` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&timestamp::print(self.0))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        timestamp::parse(&text).map(Self).map_err(|_| serde::de::Error::custom("no moment in RFC 3339"))
    }
}

impl Span {
    /// The longest that is read: a hundred years.
    pub const MAX: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

    /// Reads seconds with a fraction, as `3600s` or `1.5s`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok().filter(|span| *span <= Self::MAX).map(Self)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}s", self.0.as_secs_f64()))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no duration, as 3600s"))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?s$", "examples": ["3600s"]})
    }
}

/// A kind of field that a request can have.
pub(crate) trait Field: Sized {
    /// Takes the field of this name; what is wrong with it goes to the mistakes.
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self;
}

impl Field for String {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        fields.string(name).unwrap_or_default()
    }
}

impl Field for Option<String> {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        fields.string(name)
    }
}

impl Field for bool {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        fields.boolean(name).unwrap_or_default()
    }
}

impl Field for Option<bool> {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        fields.boolean(name)
    }
}

impl Field for Vec<String> {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        fields.strings(name)
    }
}

impl Field for BTreeMap<String, String> {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        fields.string_map(name)
    }
}

impl Field for Option<BTreeMap<String, String>> {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        fields.has(name).then(|| fields.string_map(name))
    }
}

impl Field for Option<Time> {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        let text = fields.string(name).filter(|text| !text.is_empty())?;
        match timestamp::parse(&text) {
            Ok(moment) => Some(Time(moment)),
            Err(_) => {
                fields.refuse(name, format!("{name} must be a moment in RFC 3339, as 2027-01-31T12:00:00Z."));
                None
            }
        }
    }
}

impl Field for Option<Span> {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        let text = fields.string(name).filter(|text| !text.is_empty())?;
        let span = Span::parse(&text);
        if span.is_none() {
            fields.refuse(name, format!("{name} must be a number of seconds and an s, as 3600s."));
        }
        span
    }
}

impl<M: Message> Field for Vec<M> {
    fn take(fields: &mut Fields<'_, '_>, name: &str) -> Self {
        fields.messages(name)
    }
}

/// A request: its struct, its reading and its schema from the same lines.
macro_rules! request {
    ($(#[$doc:meta])* $name:ident = $full_name:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $json:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, schemars::JsonSchema, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[schemars(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* #[schemars(default)] pub $field: $type,)*
        }

        impl $crate::proto_json::Message for $name {
            const NAME: &str = $full_name;

            fn read(fields: &mut $crate::proto_json::Fields<'_, '_>) -> Self {
                Self { $($field: $crate::admin::field::Field::take(fields, $json),)* }
            }
        }
    };
}
pub(crate) use request;
