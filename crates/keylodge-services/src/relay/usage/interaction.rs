//! What a request of the Interactions API says that its way depends on, and the most that it can use. The request itself
//! goes on as it is.

use std::ops::Range;

use bytes::Bytes;

use super::clamp::{edited, is_config, number};
use super::json::{Cursor, Unreadable};
use super::weight::Weight;
use super::worst_case::{IMAGE_TOKENS_MAX, WorstCase, is_image};

/// A request to make an interaction, as far as its way depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteractionRequest {
    /// The model or agent that is asked, as it is written; `None` if neither or both are named, or not by a text.
    pub name: Option<String>,
    /// Whether that is an agent.
    pub is_agent: bool,
    /// Whether the answer is wanted as events.
    pub streams: bool,
    /// Whether the interaction is kept; it is unless the request says no.
    pub stores: bool,
    /// Whether it may be answered while nobody waits; it is unless the request says nothing of it or no.
    pub in_background: bool,
    /// The interaction that it goes on from.
    pub previous: Previous,
    /// Whether it names an environment of its own, and not only the kind of a new one (`remote`).
    pub names_environment: bool,
    /// Whether it goes on with something by a token of the upstream's own.
    pub names_continuation: bool,
    /// A field that stands twice, of those: which one counts is for its reader to say, and two readers may differ.
    pub twice: Option<&'static str>,
    place: Range<usize>,
}

/// The interaction that a request goes on from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Previous {
    /// None is named.
    #[default]
    None,
    /// This one.
    Id(String),
    /// What is named is no text.
    NoText,
}

/// The fields, in the spelling that all their spellings share: an upstream may read more than one.
const FIELDS: [(&str, &str); 8] = [
    ("model", "model"),
    ("agent", "agent"),
    ("stream", "stream"),
    ("store", "store"),
    ("background", "background"),
    ("previousinteractionid", "previous_interaction_id"),
    ("environment", "environment"),
    ("continuationtoken", "continuation_token"),
];

impl InteractionRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// The body is not a JSON object.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let mut seen: [Option<Range<usize>>; FIELDS.len()] = Default::default();
        let mut is_named = [false; FIELDS.len()];
        let mut twice = None;
        Cursor::new(body)?.object(|value, name| {
            let Some(at) = field(name) else { return };
            let is_nothing = value.is_nothing();
            let place = value.skip();
            if std::mem::replace(&mut is_named[at], true) {
                twice = Some(FIELDS[at].1);
            } else if !is_nothing {
                seen[at] = Some(place);
            }
        });
        let raw = |at: usize| seen[at].as_ref().map(|place| &body[place.clone()]);
        let text = |at: usize| raw(at).and_then(|raw| serde_json::from_slice::<String>(raw).ok());
        let (which, is_agent) = if seen[0].is_some() { (0, false) } else { (1, true) };
        Ok(Self {
            name: text(which).filter(|_| seen[0].is_some() != seen[1].is_some()),
            is_agent,
            streams: raw(2) == Some(b"true"),
            stores: raw(3) != Some(b"false"),
            in_background: !matches!(raw(4), None | Some(b"false")),
            previous: match (raw(5), text(5)) {
                (None, _) => Previous::None,
                (Some(_), Some(id)) => Previous::Id(id),
                (Some(_), None) => Previous::NoText,
            },
            names_environment: raw(6).is_some() && text(6).as_deref() != Some("remote"),
            names_continuation: raw(7).is_some(),
            twice,
            place: seen[which].clone().unwrap_or_default(),
        })
    }

    /// The body with another name for the model or agent; every other byte stays.
    #[must_use]
    pub fn renamed(&self, body: &Bytes, name: &str) -> Bytes {
        let prefix = if self.name.as_ref().is_some_and(|name| name.starts_with("models/")) { "models/" } else { "" };
        edited(body, &[(self.place.clone(), serde_json::Value::from(format!("{prefix}{name}")).to_string())])
    }
}

fn field(name: &[u8]) -> Option<usize> {
    let plain: Vec<u8> = name.iter().filter(|byte| **byte != b'_').map(u8::to_ascii_lowercase).collect();
    FIELDS.iter().position(|(known, _)| known.as_bytes() == plain)
}

/// Looks through a request to make an interaction, as [`worst_case`](super::worst_case) does through one to generate. What
/// was said before, in the interaction that it goes on from, is not in it. An agent reads what it likes.
///
/// # Errors
/// The body is not a JSON object.
pub fn worst_case_of_interaction(body: &[u8]) -> Result<WorstCase, Unreadable> {
    let mut seen = Seen { weight: Weight::new(body) };
    Cursor::new(body)?.object(|value, name| seen.field(value, name));
    Ok(seen.weight.worst_case(1))
}

struct Seen<'body> {
    weight: Weight<'body>,
}

impl Seen<'_> {
    fn field(&mut self, value: &mut Cursor<'_>, name: &[u8]) {
        match name {
            b"input" | b"system_instruction" | b"systemInstruction" => self.said(value),
            b"tools" => value.elements(|tool| self.tool(tool)),
            _ if is_config(name) => self.config(value, name == b"generation_config"),
            b"agent"
            | b"cached_content"
            | b"cachedContent"
            | b"continuation_token"
            | b"continuationToken"
            | b"environment" => {
                if !value.is_nothing() {
                    self.weight.unknown();
                }
            }
            // They are no part of the prompt.
            b"model"
            | b"previous_interaction_id"
            | b"store"
            | b"stream"
            | b"background"
            | b"labels"
            | b"safety_settings"
            | b"safetySettings"
            | b"service_tier"
            | b"serviceTier"
            | b"webhook_config" => {}
            _ => self.weight.named(value, name),
        }
    }

    /// A text, a content, a step, or a list of such.
    fn said(&mut self, value: &mut Cursor<'_>) {
        if !value.is_object() && !value.is_array() {
            return self.weight.weigh(value);
        }
        value.elements(|item| {
            if item.is_object() {
                self.item(item);
            } else {
                self.said(item);
            }
        });
    }

    fn item(&mut self, item: &mut Cursor<'_>) {
        self.weight.turn();
        let (mut is_image_content, mut kinds, mut images, mut data) = (false, 0u32, 0u32, 0);
        item.object(|value, name| match name {
            b"type" => {
                let place = value.skip();
                is_image_content = &self.weight.body[place] == b"\"image\"";
            }
            b"mime_type" | b"mimeType" => {
                let place = value.skip();
                kinds += 1;
                images += u32::from(is_image(&self.weight.body[place]));
            }
            b"data" => data += value.weigh(),
            // Whose length nobody here knows.
            b"uri" => {
                if !value.is_nothing() {
                    self.weight.unknown();
                }
            }
            b"content" | b"summary" => self.said(value),
            // What a function gave may have contents in it; an object is its own words.
            b"result" if value.is_array() => self.said(value),
            _ => self.weight.named(value, name),
        });
        // Where two kinds are given, or none that fits, nobody knows what it is read as.
        let is_image = data > 0 && is_image_content && kinds == images;
        self.weight.add(if is_image { IMAGE_TOKENS_MAX } else { data });
    }

    /// A function of the caller's, or a tool of the server's own that reads who knows what.
    fn tool(&mut self, tool: &mut Cursor<'_>) {
        if !tool.is_object() {
            return self.weight.weigh(tool);
        }
        let mut is_function = false;
        let start = tool.at();
        tool.object(|value, name| {
            if name == b"type" {
                let place = value.skip();
                is_function = &self.weight.body[place] == b"\"function\"";
            }
        });
        self.weight.add((tool.at() - start) as u64);
        if !is_function {
            self.weight.unknown();
        }
    }

    /// Only the spelling with underscores is Google's here. A cap in another one may be read by nobody, so it is none.
    fn config(&mut self, config: &mut Cursor<'_>, is_read: bool) {
        self.weight.config(config, |name, said| match name {
            b"max_output_tokens" if is_read => number(said),
            _ => None,
        });
    }
}
