//! The most that a call may answer, lowered in its body.

use std::num::NonZeroU32;
use std::ops::Range;

use bytes::Bytes;

use super::json::{Cursor, Unreadable};

/// Lowers `generationConfig.maxOutputTokens` to `max`, or sets it where it is not said. Every other byte stays.
///
/// A number from 1 to `max` stays as it is, in whatever form it is written. Where a field stands twice, in one spelling
/// or in both, each is lowered: which of them counts is for the reader at the other end to say. A body that is within
/// the limit already is given back without a copy.
///
/// # Errors
/// The body is not a JSON object, or its `generationConfig` is neither an object nor `null`: nobody can say what the
/// other end would make of it, so it must not be sent.
pub fn clamp_output(body: &Bytes, max: NonZeroU32) -> Result<Bytes, Unreadable> {
    clamp(body, max, Spelling { config: "generationConfig", cap: "maxOutputTokens", reads_both: true })
}

/// The same for a request of the Interactions API: `generation_config.max_output_tokens`. Another spelling is lowered, too,
/// and counts as not said.
///
/// # Errors
/// As there.
pub fn clamp_interaction(body: &Bytes, max: NonZeroU32) -> Result<Bytes, Unreadable> {
    clamp(body, max, Spelling { config: "generation_config", cap: "max_output_tokens", reads_both: false })
}

/// How the fields are spelled where they are set; found they are in either spelling.
#[derive(Clone, Copy)]
struct Spelling {
    config: &'static str,
    cap: &'static str,
    /// Whether the other end reads the other spelling as well.
    reads_both: bool,
}

impl Spelling {
    fn cap(self, max: NonZeroU32) -> String {
        format!("\"{}\":{max}", self.cap)
    }
}

fn clamp(body: &Bytes, max: NonZeroU32, spelling: Spelling) -> Result<Bytes, Unreadable> {
    let mut top = Cursor::new(body)?;
    let top_start = top.at();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let (mut fields, mut configs, mut is_readable) = (0, 0, true);
    top.object(|value, name| {
        fields += 1;
        if !is_config(name) {
            return;
        }
        let is_read = spelling.reads_both || name == spelling.config.as_bytes();
        configs += usize::from(is_read);
        if value.is_null() {
            edits.push((value.skip(), format!("{{{}}}", spelling.cap(max))));
        } else if value.is_object() {
            lower(value, body, max, spelling, &mut edits);
        } else {
            is_readable = false;
        }
    });
    if !is_readable {
        return Err(Unreadable);
    }
    if configs == 0 {
        let config = format!("\"{}\":{{{}}}", spelling.config, spelling.cap(max));
        edits.push(insertion(top_start, fields, &config));
    }
    // What is set comes first in its object, and is known to be missing last.
    edits.sort_by_key(|(place, _)| place.start);
    Ok(edited(body, &edits))
}

/// Whether this is how `generationConfig` is spelled.
pub(super) fn is_config(name: &[u8]) -> bool {
    matches!(name, b"generationConfig" | b"generation_config")
}

/// Whether this is how `maxOutputTokens` is spelled.
pub(super) fn is_cap(name: &[u8]) -> bool {
    matches!(name, b"maxOutputTokens" | b"max_output_tokens")
}

/// A number of at least 1 in any of its forms: `64`, `64.0`, `"64"`. Zero and less are no cap: servers take them for
/// "not said".
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
pub(super) fn number(json: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(json).ok()?;
    let number: f64 = text.trim_matches('"').parse().ok()?;
    (1.0..=f64::from(i32::MAX)).contains(&number).then_some(number.ceil() as u64)
}

fn lower(
    config: &mut Cursor<'_>,
    body: &[u8],
    max: NonZeroU32,
    spelling: Spelling,
    edits: &mut Vec<(Range<usize>, String)>,
) {
    let start = config.at();
    let (mut fields, mut caps) = (0, 0);
    config.object(|value, name| {
        fields += 1;
        if !is_cap(name) {
            return;
        }
        caps += usize::from(spelling.reads_both || name == spelling.cap.as_bytes());
        let place = value.skip();
        let given = &body[place.clone()];
        if number(given).is_none_or(|given| given > u64::from(max.get())) {
            let lowered = if given.first() == Some(&b'"') { format!("\"{max}\"") } else { max.to_string() };
            edits.push((place, lowered));
        }
    });
    if caps == 0 {
        edits.push(insertion(start, fields, &spelling.cap(max)));
    }
}

/// The edit that makes a field the first one of an object that begins here.
fn insertion(object: usize, fields: usize, field: &str) -> (Range<usize>, String) {
    let comma = if fields > 0 { "," } else { "" };
    (object + 1..object + 1, format!("{field}{comma}"))
}

/// A body with other bytes at these places, which stand in their order.
pub(super) fn edited(body: &Bytes, edits: &[(Range<usize>, String)]) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    let mut text = Vec::with_capacity(body.len() + 64);
    let mut kept_to = 0;
    for (place, new) in edits {
        text.extend_from_slice(&body[kept_to..place.start]);
        text.extend_from_slice(new.as_bytes());
        kept_to = place.end;
    }
    text.extend_from_slice(&body[kept_to..]);
    text.into()
}
