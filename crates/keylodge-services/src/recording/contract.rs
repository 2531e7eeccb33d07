//! What the recorded answers to one request promise of the next, and whether it keeps that.
//!
//! A contract is the status, the content type and the shape of the body ([`Shape`]). Of a stream it is the shape of each kind
//! of event, the order in which the kinds come first, and the shape of the last event: that is where a stream says how it
//! ended.

use std::collections::BTreeMap;

use serde_json::Value;

use super::exchange::{Answered, Body};
use super::shape::{Compared, Shape};

/// How an answer differs from those that were recorded.
///
/// Of several recorded answers to the same request, those of the status that is answered now count.
pub(crate) fn compare(path: &str, recorded: &[&Answered], now: &Answered) -> Compared {
    let same: Vec<&Answered> = recorded.iter().copied().filter(|answer| answer.status == now.status).collect();
    if same.is_empty() {
        let statuses: Vec<String> = recorded.iter().map(|answer| answer.status.to_string()).collect();
        return drift(format!("the status was {}, is {}", any_of(statuses), now.status));
    }
    let content_types: Vec<String> = same.iter().map(|answer| answer.content_type()).collect();
    if !content_types.contains(&now.content_type()) {
        let words = |content_type: String| if content_type.is_empty() { "missing".to_owned() } else { content_type };
        let before = any_of(content_types.into_iter().map(words).collect());
        return drift(format!("the content type was {before}, is {}", words(now.content_type())));
    }
    let forms = |answer: &&Answered| Form::of(path, answer);
    // What broke off promises nothing where another one is whole.
    let has_whole = same.iter().any(|answer| !answer.broke_off);
    let same = same.iter().filter(|answer| !(has_whole && answer.broke_off));
    match same.map(forms).reduce(Form::and) {
        Some(before) => before.compare(&Form::of(path, now)),
        None => Compared::default(),
    }
}

fn drift(words: String) -> Compared {
    Compared { drifts: vec![words], news: Vec::new() }
}

fn any_of(mut words: Vec<String>) -> String {
    words.sort();
    words.dedup();
    words.join(" or ")
}

/// The form of a body.
#[derive(Debug)]
enum Form {
    Value(Shape),
    Stream(Stream),
    /// Something else, of which nothing is known.
    Bytes,
    Empty,
}

#[derive(Debug, Default)]
struct Stream {
    /// The kinds of events, in the order in which they came first.
    order: Vec<String>,
    events: BTreeMap<String, Shape>,
    /// None where the stream broke off or was empty.
    last: Option<Shape>,
}

impl Form {
    fn of(path: &str, answer: &Answered) -> Self {
        let whole = match &answer.body {
            Body::Json(value) if is_stream(path) && value.is_array() => value.to_string(),
            Body::Json(value) => return Self::Value(Shape::of(value)),
            Body::Bytes(_) => return Self::Bytes,
            Body::Text(pieces) => pieces.concat(),
        };
        if whole.is_empty() {
            return Self::Empty;
        }
        if answer.content_type() == "text/event-stream" {
            return Self::Stream(Stream::of(events(&whole), answer.broke_off));
        }
        match serde_json::from_str::<Value>(&whole) {
            Ok(Value::Array(elements)) if is_stream(path) => {
                let events = elements.into_iter().map(|element| (String::new(), element)).collect();
                Self::Stream(Stream::of(events, answer.broke_off))
            }
            Ok(value) => Self::Value(Shape::of(&value)),
            Err(_) => Self::Bytes,
        }
    }

    /// The form of several answers; where they are of different ones, nothing is expected.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Value(one), Self::Value(other)) => Self::Value(one.and(other)),
            (Self::Stream(one), Self::Stream(other)) => Self::Stream(one.and(other)),
            (Self::Empty, Self::Empty) => Self::Empty,
            _ => Self::Bytes,
        }
    }

    fn compare(&self, now: &Self) -> Compared {
        match (self, now) {
            (Self::Value(before), Self::Value(now)) => before.compare(now),
            (Self::Stream(before), Self::Stream(now)) => before.compare(now),
            (Self::Bytes, _) | (Self::Empty, Self::Empty) => Compared::default(),
            (before, now) => drift(format!("the body was {}, is {}", before.words(), now.words())),
        }
    }

    const fn words(&self) -> &'static str {
        match self {
            Self::Value(_) => "JSON",
            Self::Stream(_) => "a stream of events",
            Self::Bytes => "no JSON",
            Self::Empty => "empty",
        }
    }
}

/// Whether an answer in JSON is a stream of what is in its list.
fn is_stream(path: &str) -> bool {
    path.rsplit_once(':').is_some_and(|(_, verb)| verb.starts_with("stream"))
}

impl Stream {
    fn of(events: Vec<(String, Value)>, broke_off: bool) -> Self {
        let mut stream = Self::default();
        for (kind, value) in events {
            let shape = Shape::of(&value);
            // The end of a stream that says `[DONE]` is what came before that.
            if !value.is_null() {
                stream.last = (!broke_off).then(|| shape.clone());
            }
            if !stream.order.contains(&kind) {
                stream.order.push(kind.clone());
            }
            let before = stream.events.remove(&kind);
            let shape = match before {
                Some(before) => before.and(shape),
                None => shape,
            };
            stream.events.insert(kind, shape);
        }
        stream
    }

    /// Kinds that are not in both are expected of neither.
    fn and(mut self, other: Self) -> Self {
        self.order.retain(|kind| other.events.contains_key(kind));
        let mut others = other.events;
        let kept = self.events.into_iter().filter_map(|(kind, shape)| Some((others.remove(&kind)?, kind, shape)));
        self.events = kept.map(|(other, kind, shape)| (kind, shape.and(other))).collect();
        self.last = self.last.zip(other.last).map(|(one, other)| one.and(other));
        self
    }

    fn compare(&self, now: &Self) -> Compared {
        let mut all = Compared::default();
        for kind in &self.order {
            let Some(now) = now.events.get(kind) else {
                all.drifts.push(format!("{} is missing", event(kind)));
                continue;
            };
            let found = self.events[kind].compare(now);
            let named = |words: String| if kind.is_empty() { words } else { format!("{}: {words}", event(kind)) };
            all.drifts.extend(found.drifts.into_iter().map(named));
            all.news.extend(found.news.into_iter().map(named));
        }
        for kind in now.order.iter().filter(|kind| !self.events.contains_key(*kind)) {
            all.news.push(format!("{} is new", event(kind)));
        }
        let common = |order: &[String], other: &Self| {
            order.iter().filter(|kind| other.events.contains_key(*kind)).cloned().collect::<Vec<_>>()
        };
        let (before, after) = (common(&self.order, now), common(&now.order, self));
        if before != after {
            all.drifts.push(format!("events came as {}, come as {}", before.join(", "), after.join(", ")));
        }
        if let (Some(before), Some(now)) = (&self.last, &now.last) {
            let known = all.drifts.clone();
            let is_known = |words: &String| known.iter().any(|drift| drift.ends_with(words.as_str()));
            let drifts = before.compare(now).drifts.into_iter().filter(|words| !is_known(words));
            all.drifts.extend(drifts.map(|words| format!("the last event: {words}")));
        }
        all
    }
}

fn event(kind: &str) -> String {
    if kind.is_empty() { "the event".to_owned() } else { format!("event {kind}") }
}

/// The events of a stream, each with its kind: its name, or what its data says of it. Data that is no JSON is its own kind.
fn events(text: &str) -> Vec<(String, Value)> {
    let lines = text.lines().chain([""]);
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), Vec::new());
    for line in lines {
        match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
            Some(("event", value)) => value.clone_into(&mut name),
            Some(("data", value)) => data.push(value),
            None if line.is_empty() && !data.is_empty() => {
                let said = std::mem::take(&mut data).join("\n");
                let name = std::mem::take(&mut name);
                events.push(match serde_json::from_str::<Value>(&said) {
                    Ok(value) => {
                        let kind = || ["event_type", "type"].iter().find_map(|field| value[*field].as_str());
                        (if name.is_empty() { kind().unwrap_or_default().to_owned() } else { name }, value)
                    }
                    Err(_) => (if name.is_empty() { said } else { name }, Value::Null),
                });
            }
            _ => {}
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::exchange::samples::{answered, streamed};
    use serde_json::json;

    const STREAM: &str = "/v1/models/m:streamGenerateContent";

    #[track_caller]
    fn check(before: &[Answered], now: &Answered, drifts: &[&str]) {
        let before: Vec<&Answered> = before.iter().collect();
        assert_eq!(compare(STREAM, &before, now).drifts, drifts, "{now:?}");
    }

    #[test]
    fn status_and_content_type_are_part_of_it() {
        let good = answered(200, json!({"a": 1}));
        check(std::slice::from_ref(&good), &answered(404, json!({})), &["the status was 200, is 404"]);
        check(&[good.clone(), answered(429, json!({}))], &answered(429, json!({})), &[]);
        let page = streamed(&["<html>"]);
        check(&[good], &page, &["the content type was application/json, is text/event-stream"]);
    }

    #[test]
    fn answers_to_the_same_request_are_one_contract() {
        let both = [answered(200, json!({"a": 1, "b": 2})), answered(200, json!({"a": 1}))];
        check(&both, &answered(200, json!({"a": 1})), &[]);
        check(&both, &answered(200, json!({"b": 1})), &["a was number, is missing"]);
    }

    #[test]
    fn a_stream_keeps_its_kinds_of_events_their_order_and_its_end() {
        let before = streamed(&[
            "event: start\ndata: {\"id\": 1}\n\nevent: delta\ndata: {\"te",
            "xt\": \"a\"}\n\nevent: delta\ndata: {\"text\": \"b\"}\n\nevent: end\ndata: {\"usage\": 1}\n\ndata: [DONE]\n\n",
        ]);
        check(std::slice::from_ref(&before), &before, &[]);
        let now = "event: delta\ndata: {\"text\": 1}\n\nevent: start\ndata: {\"id\": 1}\n\ndata: [DONE]\n\n";
        check(
            &[before],
            &streamed(&[now]),
            &[
                "event delta: text was string, is number",
                "event end is missing",
                "events came as start, delta, [DONE], come as delta, start, [DONE]",
                "the last event: usage was number, is missing",
            ],
        );
    }

    #[test]
    fn what_only_the_last_event_has_is_expected_of_the_last_event() {
        let before = streamed(&["data: {\"a\": 1}\n\n", "data: {\"a\": 1, \"finishReason\": \"STOP\"}\n\n"]);
        let unfinished = streamed(&["data: {\"a\": 1}\n\n"]);
        check(std::slice::from_ref(&before), &unfinished, &["the last event: finishReason was string, is missing"]);
        let other = streamed(&["data: {\"finishReason\": \"STOP\"}\n\n"]);
        check(&[before], &other, &["a was number, is missing"]);
        let mut broken = unfinished.clone();
        broken.broke_off = true;
        check(&[broken], &unfinished, &[]);
    }

    #[test]
    fn the_end_of_a_stream_is_what_comes_before_done_and_what_broke_off_promises_nothing() {
        let before = streamed(&["data: {\"a\": 1}\n\ndata: {\"a\": 1, \"usage\": 1}\n\ndata: [DONE]\n\n"]);
        let without = streamed(&["data: {\"a\": 1}\n\ndata: {\"a\": 1}\n\ndata: [DONE]\n\n"]);
        check(std::slice::from_ref(&before), &without, &["the last event: usage was number, is missing"]);
        let mut broken = streamed(&["data: {\"a\""]);
        broken.broke_off = true;
        check(&[broken, before], &without, &["the last event: usage was number, is missing"]);
    }

    #[test]
    fn a_list_of_a_method_that_streams_is_a_stream_however_it_came() {
        let mut before = answered(200, json!(null));
        before.body = Body::Text(vec!["[{\"a\": 1}".to_owned(), ",{\"a\": 1, \"end\": 1}]".to_owned()]);
        let now = answered(200, json!([{"a": 1}, {"a": 1}]));
        check(&[before], &now, &["the last event: end was number, is missing"]);
    }
}
