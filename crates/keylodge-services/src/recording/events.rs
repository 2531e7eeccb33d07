//! Secrets that a stream says in several of its events: what a model says comes word by word.
//!
//! What stands in the same place of several events, as `choices[0].delta.content`, is one text for whoever reads the stream.
//! It is looked through as one, and what is found is taken out of each event that has a part of it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::scrub::{Edit, Scrubber, edited};

/// How deep in an event texts are looked for. No API says anything deeper.
const DEPTH_MAX: usize = 16;

/// The pieces of a stream without the secrets that are in several of its events. What stands for one is in the event that it
/// began in. Only events that had a part of one are written anew; what is no event of JSON stays.
pub(super) fn scrubbed(pieces: Vec<Vec<u8>>, scrubber: &Scrubber) -> Vec<Vec<u8>> {
    let whole = pieces.concat();
    let (places, mut events): (Vec<Range<usize>>, Vec<Value>) = events(&whole).into_iter().unzip();
    let mut texts = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        gather(event, at, &mut String::new(), DEPTH_MAX, &mut texts);
    }
    let mut is_changed = vec![false; events.len()];
    for (pointer, parts) in texts.into_iter().filter(|(_, parts)| parts.len() > 1) {
        let (at, said): (Vec<usize>, Vec<String>) = parts.into_iter().unzip();
        let without = scrubber.pieces(said.iter().map(|part| part.clone().into_bytes()).collect());
        for ((at, said), without) in at.into_iter().zip(said).zip(without) {
            if without != said.as_bytes()
                && let Some(part) = events[at].pointer_mut(&pointer)
            {
                *part = Value::from(String::from_utf8_lossy(&without));
                is_changed[at] = true;
            }
        }
    }
    let changed = places.into_iter().zip(events).zip(is_changed).filter(|(_, is_changed)| *is_changed);
    let edits: Vec<Edit> = changed.map(|((range, event), _)| Edit { range, by: event.to_string() }).collect();
    if edits.is_empty() { pieces } else { edited(pieces, &edits) }
}

/// The events of a stream whose data are one line of JSON, and where that stands.
fn events(whole: &[u8]) -> Vec<(Range<usize>, Value)> {
    let mut events = Vec::new();
    let mut begin = 0;
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.trim_ascii();
            if matches!(data.first(), Some(b'{' | b'['))
                && let Ok(event) = serde_json::from_slice(data)
            {
                // Blanks stand on both sides, and none of them in the middle is counted.
                let from = begin + line.len() - line["data:".len()..].trim_ascii_start().len();
                events.push((from..from + data.len(), event));
            }
        }
        begin += line.len();
    }
    events
}

/// The texts of an event, by the JSON pointer of their place.
fn gather(
    value: &Value,
    event: usize,
    pointer: &mut String,
    depth: usize,
    texts: &mut BTreeMap<String, Vec<(usize, String)>>,
) {
    let length = pointer.len();
    match value {
        Value::String(text) => texts.entry(pointer.clone()).or_default().push((event, text.clone())),
        _ if depth == 0 => {}
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                gather(item, event, pointer, depth - 1, texts);
                pointer.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                gather(value, event, pointer, depth - 1, texts);
                pointer.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use zeroize::Zeroizing;

    const KEY: &str = "AIzaSyA1234567890abcdefghijklmnopqrstuv";

    fn without(pieces: &[&str]) -> Vec<String> {
        let scrubber = Scrubber::knowing(vec![Zeroizing::new("hunter2".to_owned())]);
        let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
        let text = |piece| String::from_utf8(piece).unwrap();
        scrubbed(pieces, &scrubber).into_iter().map(text).collect()
    }

    #[test]
    fn a_secret_that_is_said_in_several_events_is_taken_out_of_each() {
        let said = without(&[
            "data: {\"id\": 1, \"text\": \"It is AIzaSyA1234567890\"}\r\n\r\ndata: {\"te",
            "xt\": \"abcdefghijklm\"}\r\n\r\n",
            "event: a\ndata:{\"text\":\"nopqrstuv, keep it.\"}\n\n",
            "data: {\"text\": \" So  \"}\n\ndata: [DONE]\n\n",
        ]);

        let expected = [
            "data: {\"id\":1,\"text\":\"It is SCRUBBED\"}\r\n\r\ndata: {\"text\":\"\"}",
            "\r\n\r\n",
            "event: a\ndata:{\"text\":\", keep it.\"}\n\n",
            "data: {\"text\": \" So  \"}\n\ndata: [DONE]\n\n",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_is_no_secret_stays_byte_for_byte() {
        for stream in [
            "data: {\"b\": \"hunter\",  \"a\": \"2\"}\n\ndata: {\"b\": \"x\"}\n\n",
            "data: hunter\n\ndata: 2\n\n",
            ": hunter\n\ndata: [\"hunter\", 2]\n\n",
            "[{\"text\": \"hunter\"}\n,{\"text\": \"2\"}]",
            "",
        ] {
            assert_eq!(without(&[stream]), [stream]);
        }
    }

    #[test]
    fn fields_that_are_streamed_as_text_are_scrubbed_by_their_names() {
        let said = without(&[
            "data: {\"delta\": {\"arguments\": \"{\\\"apiK\"}}\n\n",
            "data: {\"delta\": {\"arguments\": \"ey\\\": \\\"ab\"}}\n\n",
            "data: {\"delta\": {\"arguments\": \"cd\\\"}\"}}\n\n",
        ]);

        assert!(!said.concat().contains("ab") && !said.concat().contains("cd"), "{said:?}");
    }

    proptest! {
        #[test]
        fn no_secret_survives_however_it_is_cut(cuts in proptest::collection::vec(0..=KEY.len(), 1..8), before in "[a-z ]{0,9} ") {
            let mut cuts: Vec<usize> = cuts.into_iter().chain([0, KEY.len()]).collect();
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|cut| &KEY[cut[0]..cut[1]]);
            let texts: Vec<String> = [before.as_str()].into_iter().chain(parts).map(str::to_owned).collect();
            let stream: Vec<String> = texts.iter().map(|text| format!("data: {}\n\n", json!({"a/b": [{"t": text}]}))).collect();
            let stream: Vec<&str> = stream.iter().map(String::as_str).collect();

            let told: String = without(&stream).concat().lines().filter_map(|line| line.strip_prefix("data: "))
                .map(|data| serde_json::from_str::<Value>(data).unwrap()["a/b"][0]["t"].as_str().unwrap().to_owned())
                .collect();

            prop_assert_eq!(told, format!("{before}SCRUBBED"));
        }
    }
}
