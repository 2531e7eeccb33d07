//! A stream of events, made by looking at an interaction again and again: what is new since the last look is said.
//!
//! So the same code tells a stream live, follows an answer that is made in the background, and goes on after an event of
//! which a caller lost the rest.

use bytes::Bytes;
use keylodge_api::status::json_bytes;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::interaction::{Interaction, Piece, Step};

/// How far a stream has told an interaction. Its text is the `event_id` of the last event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    stage: u8,
    /// Which step is told.
    step: usize,
    /// Whether its beginning was told.
    is_open: bool,
    /// How much of it was told: bytes of text, and one for anything that is told whole.
    amount: usize,
}

/// Nothing, `interaction.created`, `interaction.status_update`, `interaction.completed`.
const CREATED: u8 = 1;
const UPDATED: u8 = 2;
const COMPLETED: u8 = 3;

impl Told {
    /// Reads an `event_id`.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let mut parts = id.split('-');
        let mut number = || parts.next()?.parse::<usize>().ok();
        let (stage, step, is_open, amount) = (number()?, number()?, number()?, number()?);
        let told = Self { stage: u8::try_from(stage).ok()?, step, is_open: is_open == 1, amount };
        (parts.next().is_none() && told.stage <= COMPLETED && is_open <= 1).then_some(told)
    }

    fn id(self) -> String {
        format!("{}-{}-{}-{}", self.stage, self.step, u8::from(self.is_open), self.amount)
    }

    /// The events since the last look, as bytes of the body. After the last the stream has nothing more to say.
    pub(super) fn look(&mut self, interaction: &Interaction) -> Vec<Bytes> {
        let mut said = Vec::new();
        if self.stage < CREATED {
            self.stage = CREATED;
            let mut head = Map::new();
            for (name, value) in interaction.head() {
                if matches!(name.as_str(), "id" | "object" | "model" | "created" | "previous_interaction_id") {
                    head.insert(name, value);
                }
            }
            head.insert("status".to_owned(), "in_progress".into());
            said.push(self.event("interaction.created", json!({"interaction": head})));
        }
        if self.stage < UPDATED {
            self.stage = UPDATED;
            let update = json!({"interaction_id": interaction.id, "status": "in_progress"});
            said.push(self.event("interaction.status_update", update));
        }
        let is_over = interaction.is_over();
        while let Some(step) = interaction.steps.get(self.step) {
            self.look_at(step, &mut said);
            if self.step + 1 == interaction.steps.len() && !is_over {
                return said;
            }
            let index = self.step;
            *self = Self { step: index + 1, is_open: false, amount: 0, ..*self };
            said.push(self.event("step.stop", json!({"index": index})));
        }
        if is_over && self.stage < COMPLETED {
            self.stage = COMPLETED;
            said.push(self.event("interaction.completed", json!({"interaction": interaction.head()})));
        }
        said
    }

    /// What is new of a step.
    fn look_at(&mut self, step: &Step, said: &mut Vec<Bytes>) {
        let index = self.step;
        if !self.is_open {
            self.is_open = true;
            let begun = match step {
                Step::Thought { .. } => json!({"type": "thought"}),
                Step::Output(_) => json!({"type": "model_output"}),
                Step::Call { id, name, .. } => {
                    json!({"type": "function_call", "id": id, "name": name, "arguments": {}})
                }
                Step::Other(step) => step.clone(),
            };
            said.push(self.event("step.start", json!({"index": index, "step": begun})));
        }
        let mut before = 0;
        for (size, delta) in parts(step) {
            let told = self.amount.saturating_sub(before).min(size);
            before += size;
            if told == size {
                continue;
            }
            self.amount = before;
            said.push(self.event("step.delta", json!({"index": index, "delta": delta.since(told)})));
        }
    }

    fn event(self, name: &str, mut data: Value) -> Bytes {
        data["event_type"] = name.into();
        data["event_id"] = self.id().into();
        event(name, &json_bytes(&data, false))
    }
}

/// A part of a step that deltas tell.
enum Part<'step> {
    /// Told as it grows.
    Text(&'step str),
    Summary(&'step str),
    /// Told at once.
    Data(&'step Value),
    Signature(&'step str),
    Arguments(&'step Value),
}

impl<'step> Part<'step> {
    fn of_piece(piece: &'step Piece) -> (usize, Self) {
        match piece {
            Piece::Text(text) => (text.len(), Part::Text(text)),
            Piece::Data(data) => (1, Part::Data(data)),
        }
    }

    fn since(&self, told: usize) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": rest(text, told)}),
            Self::Summary(text) => {
                json!({"type": "thought_summary", "content": {"type": "text", "text": rest(text, told)}})
            }
            Self::Data(data) => (*data).clone(),
            Self::Signature(signature) => json!({"type": "thought_signature", "signature": signature}),
            Self::Arguments(arguments) => json!({"type": "arguments_delta", "arguments": arguments.to_string()}),
        }
    }
}

/// A place comes from an event of ours, or from a caller who made one up: inside a letter nothing was told.
fn rest(text: &str, told: usize) -> &str {
    text.get(told..).unwrap_or(text)
}

/// What deltas tell of a step, each part with its size.
fn parts(step: &Step) -> Vec<(usize, Part<'_>)> {
    match step {
        Step::Thought { signature, summary } => {
            let signature = (!signature.is_empty()).then_some((1, Part::Signature(signature)));
            [(summary.len(), Part::Summary(summary))].into_iter().chain(signature).collect()
        }
        Step::Output(pieces) => pieces.iter().map(Part::of_piece).collect(),
        Step::Call { arguments, .. } => vec![(1, Part::Arguments(arguments))],
        Step::Other(_) => Vec::new(),
    }
}

/// An error inside a stream.
pub(super) fn error(fault: &Fault) -> Bytes {
    event("error", &json_bytes(&json!({"error": fault.error(), "event_type": "error"}), false))
}

/// The end of every stream.
pub(super) fn done() -> Bytes {
    event("done", b"[DONE]")
}

fn event(name: &str, data: &[u8]) -> Bytes {
    [b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use keylodge_rules::Timestamp;

    use super::*;

    fn interaction() -> Interaction {
        Interaction::new("v1_a".to_owned(), "m".to_owned(), Timestamp::from_micros(0), Map::new())
    }

    fn said(text: &str) -> Value {
        json!({"candidates": [{"content": {"parts": [{"text": text}]}}]})
    }

    /// Names and data of events.
    fn read(events: &[Bytes]) -> Vec<(String, Value)> {
        let read = |event: &Bytes| {
            let text = std::str::from_utf8(event).unwrap();
            let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap();
            assert_eq!(data["event_type"], name, "clients look for the name in the data");
            (name.to_owned(), data)
        };
        events.iter().map(read).collect()
    }

    fn names(events: &[Bytes]) -> Vec<String> {
        read(events).into_iter().map(|(name, _)| name).collect()
    }

    fn text(events: &[Bytes]) -> String {
        read(events).iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect()
    }

    #[test]
    fn a_text_is_told_as_it_grows() {
        let (mut interaction, mut told) = (interaction(), Told::default());
        assert_eq!(names(&told.look(&interaction)), ["interaction.created", "interaction.status_update"]);

        interaction.take(&said("Hel"));
        assert_eq!(names(&told.look(&interaction)), ["step.start", "step.delta"]);
        interaction.take(&said("lö"));
        let more = told.look(&interaction);
        assert_eq!((names(&more), text(&more)), (vec!["step.delta".to_owned()], "lö".to_owned()));
        assert_eq!(told.look(&interaction), Vec::<Bytes>::new(), "nothing new");

        interaction.finish(Timestamp::from_micros(1));
        let end = told.look(&interaction);
        assert_eq!(names(&end), ["step.stop", "interaction.completed"]);
        assert_eq!(read(&end)[1].1["interaction"]["status"], "completed");
        assert_eq!(read(&end)[1].1["interaction"].get("steps"), None);
        assert_eq!(told.look(&interaction), Vec::<Bytes>::new(), "all was said");
    }

    #[test]
    fn thoughts_calls_and_data_are_steps_and_deltas() {
        let (mut interaction, mut told) = (interaction(), Told::default());
        interaction.take(&json!({"candidates": [{"content": {"parts": [
            {"text": "hm", "thought": true},
            {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "sig"},
            {"text": "See"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}, "finishReason": "STOP"}]}));
        interaction.finish(Timestamp::from_micros(1));

        let events = read(&told.look(&interaction));
        let deltas: Vec<&Value> =
            events.iter().filter(|(name, _)| name == "step.delta").map(|(_, data)| &data["delta"]).collect();
        assert_eq!(
            deltas,
            [
                &json!({"type": "thought_summary", "content": {"type": "text", "text": "hm"}}),
                &json!({"type": "thought_signature", "signature": "sig"}),
                &json!({"type": "arguments_delta", "arguments": "{\"x\":1}"}),
                &json!({"type": "text", "text": "See"}),
                &json!({"type": "image", "data": "AAAA", "mime_type": "image/png"}),
            ]
        );
        let starts: Vec<&Value> =
            events.iter().filter(|(name, _)| name == "step.start").map(|(_, data)| &data["step"]).collect();
        assert_eq!(starts[1], &json!({"type": "function_call", "id": "call_1", "name": "f", "arguments": {}}));
        assert_eq!(events.last().unwrap().1["interaction"]["status"], "requires_action");
    }

    #[test]
    fn after_any_event_the_rest_can_be_told() {
        let (mut growing, mut told) = (interaction(), Told::default());
        let mut live = told.look(&growing);
        for piece in ["On", "ce", " upon"] {
            growing.take(&said(piece));
            live.extend(told.look(&growing));
        }
        growing.finish(Timestamp::from_micros(1));
        live.extend(told.look(&growing));

        for (at, (_, data)) in read(&live).iter().enumerate() {
            let mut again = Told::parse(data["event_id"].as_str().unwrap()).unwrap();
            let rest = again.look(&growing);
            assert_eq!(text(&rest), text(&live[at + 1..]), "after event {at}");
            assert_eq!(names(&rest).last(), names(&live[at + 1..]).last(), "after event {at}");
        }
    }

    #[test]
    fn nothing_else_is_the_id_of_an_event() {
        for wrong in [
            "",
            "1",
            "1-0-0",
            "4-0-0-0",
            "1-0-2-0",
            "1-0-0-0-0",
            "a-0-0-0",
            "-1-0-0-0",
            "1-0-0-99999999999999999999999",
        ] {
            assert_eq!(Told::parse(wrong), None, "{wrong}");
        }
    }
}
