//! Secrets taken out of what is to be written down, before it is.
//!
//! A secret is what looks like one ([`find_secrets`]), what stands under a name that says so, and the texts that are known:
//! our credentials at the upstream. It is looked for in every text, in names of fields, behind escapes of JSON and of URLs,
//! across the pieces of a stream, and across its events ([`events`](super::events)). What is base64 inside of a text, or
//! encrypted, is not looked into.

use std::borrow::Cow;
use std::ops::Range;

use keylodge_rules::secret::{find_secrets, is_secret_parameter, names_a_secret};
use memchr::memmem;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

/// What stands where a secret stood.
pub(super) const SCRUBBED: &str = "SCRUBBED";

/// How often a text is looked through again: what is left around a secret may look like another.
const PASSES_MAX: usize = 4;

/// What a path is written with, where it had to be decoded.
const PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// Takes secrets out of texts. It has no Debug: it knows secrets.
#[derive(Clone, Default)]
pub(crate) struct Scrubber {
    known: Vec<Zeroizing<String>>,
}

impl Scrubber {
    /// Takes out these texts, too, wherever they stand.
    pub(crate) fn knowing(known: Vec<Zeroizing<String>>) -> Self {
        Self { known: known.into_iter().filter(|text| !text.is_empty()).collect() }
    }

    /// A text without its secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        let pieces = self.pieces(vec![text.as_bytes().to_vec()]);
        String::from_utf8_lossy(&pieces.concat()).into_owned()
    }

    /// The pieces of a body without their secrets. Where one went over the end of a piece, what stands for it is in the
    /// piece that it began in.
    pub(crate) fn pieces(&self, mut pieces: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        for _ in 0..PASSES_MAX {
            let whole = pieces.concat();
            let mut edits = self.literals(&whole);
            if edits.is_empty() {
                edits = self.plain(&whole);
            }
            if edits.is_empty() {
                break;
            }
            pieces = edited(pieces, &edits);
        }
        pieces
    }

    /// A value without its secrets.
    pub(crate) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                let field = |(name, value): (String, Value)| {
                    let value = if names_a_secret(&name) { hidden(value) } else { value };
                    (self.text(&name), self.value(value))
                };
                Value::Object(fields.into_iter().map(field).collect())
            }
            other => other,
        }
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str, value: &str) -> String {
        if names_a_secret(name) { SCRUBBED.to_owned() } else { self.text(value) }
    }

    /// A path. It is written as it came, unless a secret was hidden in its escapes.
    pub(crate) fn path(&self, path: &str) -> String {
        let (plain, decoded) = (self.text(path), percent_decode_str(path).decode_utf8_lossy());
        let without = self.text(&decoded);
        if plain == path && without != decoded { utf8_percent_encode(&without, PATH).to_string() } else { plain }
    }

    /// A query, without its question mark. It is written as it came where no secret is in it.
    pub(crate) fn query(&self, query: &str) -> String {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let pair = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
            let hidden = is_secret_parameter(name) && !value.is_empty();
            (self.text(name), if hidden { SCRUBBED.to_owned() } else { self.text(value) })
        };
        let without: Vec<(String, String)> = pairs.iter().map(pair).collect();
        let is_same = without.iter().zip(&pairs).all(|(one, other)| one.0 == other.0 && one.1 == other.1);
        if is_same {
            query.to_owned()
        } else {
            form_urlencoded::Serializer::new(String::new()).extend_pairs(without).finish()
        }
    }

    /// What to replace in a text as it stands.
    fn plain(&self, text: &[u8]) -> Vec<Edit> {
        let mut found = find_secrets(text);
        for known in &self.known {
            found.extend(memmem::find_iter(text, known.as_bytes()).map(|at| at..at + known.len()));
        }
        found.sort_by_key(|range| range.start);
        let mut edits: Vec<Edit> = Vec::new();
        for range in found {
            match edits.last_mut() {
                Some(before) if range.start < before.range.end => before.range.end = before.range.end.max(range.end),
                _ => edits.push(Edit { range, by: SCRUBBED.to_owned() }),
            }
        }
        edits.retain(|edit| text[edit.range.clone()] != *SCRUBBED.as_bytes());
        edits
    }

    /// What to replace in the strings of JSON that are in a text: there, a secret may be written with escapes, and a name
    /// may stand before it.
    fn literals(&self, text: &[u8]) -> Vec<Edit> {
        let mut edits = Vec::new();
        let (mut at, mut name) = (0, None);
        while let Some(found) = memchr::memchr(b'"', &text[at..]) {
            let from = at + found;
            if !text[at..from].iter().all(|byte| byte.is_ascii_whitespace() || *byte == b':') {
                name = None;
            }
            let Some(end) = literal_end(text, from) else {
                (at, name) = (from + 1, None);
                continue;
            };
            let Ok(said) = serde_json::from_slice::<String>(&text[from..end]) else {
                // What looked like the end may be the beginning of one.
                (at, name) = (end - 1, None);
                continue;
            };
            let is_secret = name.take().is_some_and(|name: String| names_a_secret(&name)) && !said.is_empty();
            let without = if is_secret { SCRUBBED.to_owned() } else { self.text(&said) };
            if without != said {
                let by = serde_json::to_string(&without).unwrap_or_default();
                edits.push(Edit { range: from..end, by });
            }
            let is_name = text[end..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
            (at, name) = (end, is_name.then_some(said));
        }
        edits
    }
}

/// A text under a name that says it is a secret, or a list of such. Anything else under it is no secret: the form of a
/// field, as schemas have it, for one.
fn hidden(value: Value) -> Value {
    match value {
        Value::String(text) if !text.is_empty() => Value::String(SCRUBBED.to_owned()),
        Value::Array(items) => items.into_iter().map(hidden).collect(),
        other => other,
    }
}

/// Something to be replaced.
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) by: String,
}

/// Replaces in a text that is in pieces. The edits are in order and apart.
pub(super) fn edited(pieces: Vec<Vec<u8>>, edits: &[Edit]) -> Vec<Vec<u8>> {
    let mut edits = edits.iter().peekable();
    let mut begin = 0;
    let piece = |piece: Vec<u8>| {
        let end = begin + piece.len();
        let (mut at, mut written) = (begin, Vec::with_capacity(piece.len()));
        while let Some(edit) = edits.peek().filter(|edit| edit.range.start < end) {
            if edit.range.start >= begin {
                written.extend_from_slice(&piece[at - begin..edit.range.start - begin]);
                written.extend_from_slice(edit.by.as_bytes());
            }
            at = edit.range.end.min(end);
            if edit.range.end > end {
                break;
            }
            edits.next();
        }
        written.extend_from_slice(&piece[at - begin..]);
        begin = end;
        written
    };
    pieces.into_iter().map(piece).collect()
}

/// Where a string of JSON ends that begins here.
fn literal_end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            // No string goes over the end of a line.
            byte if byte.is_ascii_control() => return None,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const KEY: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";

    fn scrubber() -> Scrubber {
        Scrubber::knowing(vec![Zeroizing::new("hunter2".to_owned())])
    }

    #[test]
    fn secrets_are_taken_out_and_the_rest_stays() {
        let check = |given: &str, expected: &str| assert_eq!(scrubber().text(given), expected, "{given}");
        check(&format!("Use {KEY}, please."), "Use SCRUBBED, please.");
        check("the word is hunter2!", "the word is SCRUBBED!");
        check("https://x.example/?key=abc&b=1", "https://x.example/?key=SCRUBBED&b=1");
        check("nothing \"to\" see", "nothing \"to\" see");
        check(r#"{"apiKey": "abc", "text": "hunt\u0065r2"}"#, r#"{"apiKey": "SCRUBBED", "text": "SCRUBBED"}"#);
        check(r#"{"url": "https://x.example/?key\u003dabc"}"#, r#"{"url": "https://x.example/?key=SCRUBBED"}"#);
        check("key=SCRUBBED", "key=SCRUBBED");
    }

    #[test]
    fn a_value_is_scrubbed_in_its_names_and_by_them() {
        let given = json!({
            KEY: 1, "password": ["a", ""], "nested": [{"refresh_token": "x"}, format!("see {KEY}")],
            "properties": {"password": {"type": "STRING"}}, "key": "a word"
        });

        let expected = json!({
            "SCRUBBED": 1, "password": ["SCRUBBED", ""], "nested": [{"refresh_token": "SCRUBBED"}, "see SCRUBBED"],
            "properties": {"password": {"type": "STRING"}}, "key": "a word"
        });
        assert_eq!(scrubber().value(given), expected);
    }

    #[test]
    fn paths_queries_and_headers_are_scrubbed_behind_their_escapes() {
        let scrubber = scrubber();
        assert_eq!(scrubber.path("/v1/models/a%2Fb:x"), "/v1/models/a%2Fb:x");
        assert_eq!(scrubber.path("/v1/hunt%65r2/x"), "/v1/SCRUBBED/x");
        assert_eq!(scrubber.query("alt=sse&b=%20x"), "alt=sse&b=%20x");
        assert_eq!(scrubber.query("alt=sse&%24key=abc&c=hunt%65r2"), "alt=sse&%24key=SCRUBBED&c=SCRUBBED");
        assert_eq!(scrubber.header("Set-Cookie", "a=b"), SCRUBBED);
        assert_eq!(scrubber.header("location", &format!("/x?key={KEY}")), "/x?key=SCRUBBED");
    }

    #[test]
    fn a_secret_across_pieces_is_taken_out_and_the_other_pieces_keep_their_ends() {
        let pieces = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
        let check = |given: &[&str], expected: &[&str]| {
            assert_eq!(scrubber().pieces(pieces(given)), pieces(expected), "{given:?}");
        };
        check(
            &["data: a\n\n", "data: hun", "te", "r2 b\n\n", "c"],
            &["data: a\n\n", "data: SCRUBBED", "", " b\n\n", "c"],
        );
        check(&["hunter2", "hunter2"], &["SCRUBBED", "SCRUBBED"]);
        check(&["", "a", ""], &["", "a", ""]);
    }

    /// A secret of some shape.
    fn secret() -> impl Strategy<Value = String> {
        let letters = |least: usize| proptest::string::string_regex(&format!("[A-Za-z0-9_-]{{{least},60}}")).unwrap();
        prop_oneof![
            letters(35).prop_map(|rest| format!("AIza{rest}")),
            letters(35).prop_map(|rest| format!("AQ.{rest}")),
            letters(49).prop_map(|rest| format!("kl_{rest}")),
            letters(49).prop_map(|rest| format!("klo_{rest}")),
            letters(30).prop_map(|rest| format!("ya29.{rest}")),
            letters(30).prop_map(|rest| format!("1//0{rest}")),
            letters(28).prop_map(|rest| format!("GOCSPX-{rest}")),
            Just("hunter2".to_owned()),
        ]
    }

    /// A text around it.
    fn around() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[ -~äß\\n]{0,20}").unwrap()
    }

    /// A secret as somebody may write it who escapes letters.
    fn escaped(secret: &str, every: usize) -> String {
        let letter = |(at, letter): (usize, char)| {
            if at % every == 0 { format!("\\u{:04x}", u32::from(letter)) } else { letter.to_string() }
        };
        secret.chars().enumerate().map(letter).collect()
    }

    proptest! {
        #[test]
        fn no_secret_survives_wherever_it_is_put(
            secret in secret(), before in around(), after in around(),
            cuts in proptest::collection::vec(0_usize..400, 0..6), every in 1_usize..9,
        ) {
            let scrubber = scrubber();
            // Between letters that are not its own, so that it can be told where it ends.
            let text = format!("{before} {secret} {after}");
            prop_assert!(!scrubber.text(&text).contains(&secret));
            let value = json!({"a": [text, {"b": {&secret: text}}], "apiKey": secret});
            prop_assert!(!scrubber.value(value.clone()).to_string().contains(&secret));
            let path = format!("/v1/{secret}/x");
            prop_assert!(!scrubber.path(&path).contains(&secret));
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("q", &text), ("key", &secret), (&secret, &before)]).finish();
            let kept = scrubber.query(&query);
            for (name, value) in form_urlencoded::parse(kept.as_bytes()) {
                prop_assert!(!name.contains(&secret) && !value.contains(&secret));
            }

            let hidden = escaped(&secret, every);
            for body in [format!("data: {value}\r\n\r\n"), format!("[{value},\n{value}]"), text, format!("data: {{\"a\":\"{hidden}\"}}\n\n")] {
                let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
                cuts.extend([0, body.len()]);
                cuts.sort_unstable();
                let pieces = cuts.windows(2).map(|cut| body.as_bytes()[cut[0]..cut[1]].to_vec()).collect();
                let kept = scrubber.pieces(pieces);
                prop_assert_eq!(kept.len(), cuts.len() - 1);
                let kept = String::from_utf8(kept.concat()).unwrap();
                prop_assert!(!kept.contains(&secret) && !kept.contains(&hidden), "{}", kept);
            }
        }

        #[test]
        fn what_was_scrubbed_stays_as_it_is(secret in secret(), before in around(), after in around()) {
            let once = scrubber().text(&format!("{before}{secret}{after}"));
            prop_assert_eq!(scrubber().text(&once), once);
        }
    }
}
