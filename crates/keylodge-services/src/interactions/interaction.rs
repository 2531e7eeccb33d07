//! An interaction, as it grows out of the pieces that a model answers with.

use keylodge_api::timestamp;
use keylodge_rules::Timestamp;
use serde_json::{Map, Value, json};

use super::fault::Fault;

/// How far it has come: the words of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    InProgress,
    /// A function call waits for its result.
    RequiresAction,
    Completed,
    /// Cut off, by a limit on its length.
    Incomplete,
    Failed,
    Cancelled,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::RequiresAction => "requires_action",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    const ALL: [Self; 6] =
        [Self::InProgress, Self::RequiresAction, Self::Completed, Self::Incomplete, Self::Failed, Self::Cancelled];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// What a model did.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Thought {
        signature: String,
        summary: String,
    },
    Output(Vec<Piece>),
    Call {
        id: String,
        name: String,
        arguments: Value,
    },
    /// Anything else, as it goes over the wire: tools that ran at the model's side.
    Other(Value),
}

/// A piece of an output.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// An image or a sound, as it goes over the wire.
    Data(Value),
}

/// An interaction and what is known of it so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Interaction {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) state: State,
    /// How it will end, as far as the model has said.
    ending: State,
    pub(super) steps: Vec<Step>,
    usage: Value,
    errors: Vec<Value>,
    /// What the caller said and is told again: the interaction before, labels, tier.
    echoed: Map<String, Value>,
}

impl Interaction {
    pub(super) fn new(id: String, model: String, created: Timestamp, echoed: Map<String, Value>) -> Self {
        Self {
            id,
            model,
            created,
            updated: created,
            state: State::InProgress,
            ending: State::Completed,
            steps: Vec::new(),
            usage: Value::Null,
            errors: Vec::new(),
            echoed,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state != State::InProgress
    }

    /// Takes in a piece of an answer of generateContent, or a whole one.
    pub(super) fn take(&mut self, said: &Value) {
        if let Some(counts) = said.get("usageMetadata") {
            self.usage = usage(counts);
        }
        if let Some(reason) = said["promptFeedback"]["blockReason"].as_str() {
            self.block(reason);
        }
        let candidate = &said["candidates"][0];
        for part in candidate["content"]["parts"].as_array().map(Vec::as_slice).unwrap_or_default() {
            self.take_part(part);
        }
        match candidate["finishReason"].as_str() {
            None | Some("FINISH_REASON_UNSPECIFIED" | "STOP") => {}
            Some("MAX_TOKENS") => self.ending = State::Incomplete,
            Some(reason) => self.block(reason),
        }
    }

    /// The answer is all there.
    pub(super) fn finish(&mut self, now: Timestamp) {
        self.updated = now;
        if self.steps.is_empty() && self.ending != State::Failed {
            // Callers read the last step, also of an answer that says nothing.
            self.steps.push(Step::Output(vec![Piece::Text(String::new())]));
        }
        let waits = self.steps.iter().any(|step| matches!(step, Step::Call { .. }));
        self.state = if waits && self.ending == State::Completed { State::RequiresAction } else { self.ending };
    }

    /// The answer broke off.
    pub(super) fn fail(&mut self, fault: &Fault, now: Timestamp) {
        self.updated = now;
        self.state = State::Failed;
        self.errors.push(fault.error());
    }

    pub(super) fn cancel(&mut self, now: Timestamp) {
        self.updated = now;
        self.state = State::Cancelled;
    }

    /// The model would not say more.
    fn block(&mut self, reason: &str) {
        self.ending = State::Failed;
        // Google's words for these are the names of its reasons in lower case.
        self.errors.push(json!({"code": reason.to_ascii_lowercase(), "message": "The answer was blocked."}));
    }

    fn take_part(&mut self, part: &Value) {
        let text = part["text"].as_str();
        let signature = part["thoughtSignature"].as_str().filter(|_| text != Some("")).unwrap_or_default();
        if part["thought"].as_bool() == Some(true) || !signature.is_empty() {
            let thought = text.filter(|_| part["thought"].as_bool() == Some(true)).unwrap_or_default();
            self.take_thought(signature, thought);
            if part["thought"].as_bool() == Some(true) {
                return;
            }
        }
        if let Some(text) = text {
            if text.is_empty() {
                // The end of a stream, often with a signature: it says nothing, and callers read the last step.
                return;
            }
            if let Piece::Text(said) = self.output(|last| matches!(last, Piece::Text(_)), || Piece::Text(String::new()))
            {
                said.push_str(text);
            }
        } else if let Some(call) = part.get("functionCall") {
            let at = self.steps.len();
            let id = call["id"].as_str().filter(|id| !id.is_empty());
            self.steps.push(Step::Call {
                // Results must find their way back.
                id: id.map_or_else(|| format!("call_{at}"), str::to_owned),
                name: call["name"].as_str().unwrap_or_default().to_owned(),
                arguments: call.get("args").filter(|args| args.is_object()).cloned().unwrap_or_else(|| json!({})),
            });
        } else if let Some(data) = part.get("inlineData") {
            let kind = data["mimeType"].as_str().unwrap_or_default();
            let content = match kind.split_once('/') {
                Some((kind @ ("image" | "audio" | "video"), _)) => kind,
                _ => "document",
            };
            let data = json!({"type": content, "data": data["data"], "mime_type": kind});
            self.output(|_| false, || Piece::Data(data));
        } else if let Some(code) = part.get("executableCode") {
            let language = code["language"].as_str().unwrap_or_default().to_ascii_lowercase();
            let arguments = json!({"language": language, "code": code["code"].as_str().unwrap_or_default()});
            let id = code["id"].as_str().map_or_else(|| format!("call_{}", self.steps.len()), str::to_owned);
            self.steps.push(Step::Other(json!({"type": "code_execution_call", "id": id, "arguments": arguments})));
        } else if let Some(result) = part.get("codeExecutionResult") {
            let is_error = result["outcome"] != "OUTCOME_OK";
            // Where it does not say, it is of the call before it.
            let call = self.steps.iter().rev().find_map(|step| match step {
                Step::Other(step) if step["type"] == "code_execution_call" => step["id"].as_str(),
                _ => None,
            });
            let call = result["id"].as_str().or(call).unwrap_or_default().to_owned();
            let output = result["output"].as_str().unwrap_or_default();
            self.steps.push(Step::Other(
                json!({"type": "code_execution_result", "call_id": call, "result": output, "is_error": is_error}),
            ));
        }
    }

    fn take_thought(&mut self, signature: &str, thought: &str) {
        if !matches!(self.steps.last(), Some(Step::Thought { signature: signed, .. }) if signed.is_empty()) {
            self.steps.push(Step::Thought { signature: String::new(), summary: String::new() });
        }
        if let Some(Step::Thought { signature: signed, summary }) = self.steps.last_mut() {
            signed.push_str(signature);
            summary.push_str(thought);
        }
    }

    /// The last piece of the output that is being made, or a new one.
    fn output(&mut self, goes_on: impl Fn(&Piece) -> bool, new: impl FnOnce() -> Piece) -> &mut Piece {
        if !matches!(self.steps.last(), Some(Step::Output(_))) {
            self.steps.push(Step::Output(Vec::new()));
        }
        let Some(Step::Output(pieces)) = self.steps.last_mut() else { unreachable!("an output was pushed") };
        if !pieces.last().is_some_and(goes_on) {
            pieces.push(new());
        }
        pieces.last_mut().expect("a piece was pushed")
    }

    /// What the wire shows besides the steps. `usage` and the time of the last change are there when it is over.
    pub(super) fn head(&self) -> Map<String, Value> {
        let mut head = Map::new();
        let mut put = |name: &str, value: Value| head.insert(name.to_owned(), value);
        put("id", self.id.clone().into());
        put("object", "interaction".into());
        put("status", self.state.as_str().into());
        put("model", self.model.clone().into());
        put("created", timestamp::print(self.created).into());
        put("updated", timestamp::print(self.updated).into());
        if !self.usage.is_null() {
            put("usage", self.usage.clone());
        }
        if !self.errors.is_empty() {
            put("errors", self.errors.clone().into());
        }
        head.extend(self.echoed.clone());
        head
    }

    pub(super) fn wire_steps(&self) -> Vec<Value> {
        self.steps.iter().map(Step::wire).collect()
    }

    /// The whole interaction on the wire, with these steps of the caller's before those of the model.
    pub(super) fn wire(&self, input: &[Value]) -> Value {
        let mut whole = self.head();
        whole.insert("steps".to_owned(), input.iter().cloned().chain(self.wire_steps()).collect());
        whole.into()
    }

    /// Reads what [`Interaction::wire`] gave, without steps of the caller's.
    pub(super) fn read(wire: &Value) -> Option<Self> {
        let text = |name: &str| wire[name].as_str().map(str::to_owned);
        let time = |name: &str| timestamp::parse(wire[name].as_str()?).ok();
        let state = State::parse(wire["status"].as_str()?)?;
        let Value::Object(mut echoed) = wire.clone() else { return None };
        for own in ["id", "object", "status", "model", "created", "updated", "usage", "errors", "steps"] {
            echoed.remove(own);
        }
        Some(Self {
            id: text("id")?,
            model: text("model")?,
            created: time("created")?,
            updated: time("updated")?,
            state,
            ending: state,
            steps: wire["steps"].as_array()?.iter().map(Step::read).collect(),
            usage: wire["usage"].clone(),
            errors: wire["errors"].as_array().cloned().unwrap_or_default(),
            echoed,
        })
    }
}

impl Step {
    pub(super) fn wire(&self) -> Value {
        match self {
            Self::Thought { signature, summary } => {
                let mut thought = json!({"type": "thought"});
                if !signature.is_empty() {
                    thought["signature"] = signature.clone().into();
                }
                if !summary.is_empty() {
                    thought["summary"] = json!([{"type": "text", "text": summary}]);
                }
                thought
            }
            Self::Output(pieces) => {
                let content: Vec<Value> = pieces.iter().map(Piece::wire).collect();
                json!({"type": "model_output", "content": content})
            }
            Self::Call { id, name, arguments } => {
                json!({"type": "function_call", "id": id, "name": name, "arguments": arguments})
            }
            Self::Other(step) => step.clone(),
        }
    }

    fn read(wire: &Value) -> Self {
        let text = |name: &str| wire[name].as_str().unwrap_or_default().to_owned();
        match wire["type"].as_str() {
            Some("thought") => {
                let summary = wire["summary"][0]["text"].as_str().unwrap_or_default().to_owned();
                Self::Thought { signature: text("signature"), summary }
            }
            Some("model_output") => {
                let content = wire["content"].as_array().map(Vec::as_slice).unwrap_or_default();
                Self::Output(content.iter().map(Piece::read).collect())
            }
            Some("function_call") => {
                Self::Call { id: text("id"), name: text("name"), arguments: wire["arguments"].clone() }
            }
            _ => Self::Other(wire.clone()),
        }
    }
}

impl Piece {
    fn wire(&self) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Data(data) => data.clone(),
        }
    }

    fn read(wire: &Value) -> Self {
        match (wire["type"].as_str(), wire["text"].as_str()) {
            (Some("text"), Some(text)) => Self::Text(text.to_owned()),
            _ => Self::Data(wire.clone()),
        }
    }
}

/// Counts of generateContent in the names of this API.
fn usage(counts: &Value) -> Value {
    let count = |name: &str| counts[name].as_u64().unwrap_or(0);
    let (input, output, thought) =
        (count("promptTokenCount"), count("candidatesTokenCount"), count("thoughtsTokenCount"));
    let tool_use = count("toolUsePromptTokenCount");
    let total = counts["totalTokenCount"].as_u64().unwrap_or(input + output + thought + tool_use);
    let mut usage = json!({
        "total_tokens": total,
        "total_input_tokens": input,
        "total_output_tokens": output,
        "total_thought_tokens": thought,
        "total_cached_tokens": count("cachedContentTokenCount"),
        "total_tool_use_tokens": tool_use,
    });
    for (theirs, ours) in [
        ("promptTokensDetails", "input_tokens_by_modality"),
        ("candidatesTokensDetails", "output_tokens_by_modality"),
        ("cacheTokensDetails", "cached_tokens_by_modality"),
        ("toolUsePromptTokensDetails", "tool_use_tokens_by_modality"),
    ] {
        let Some(details) = counts[theirs].as_array() else { continue };
        let of = |detail: &Value| {
            let modality = detail["modality"].as_str().unwrap_or_default().to_ascii_lowercase();
            json!({"modality": modality, "tokens": detail["tokenCount"].as_u64().unwrap_or(0)})
        };
        usage[ours] = details.iter().map(of).collect();
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: &[Value]) -> Vec<Value> {
        let mut interaction =
            Interaction::new("v1_a".to_owned(), "m".to_owned(), Timestamp::from_micros(0), Map::new());
        pieces.iter().for_each(|piece| interaction.take(piece));
        interaction.finish(Timestamp::from_micros(1));
        assert_eq!(Interaction::read(&interaction.wire(&[])).map(|read| read.wire(&[])), Some(interaction.wire(&[])));
        interaction.wire_steps()
    }

    fn piece(parts: &Value) -> Value {
        json!({"candidates": [{"content": {"parts": parts}}]})
    }

    #[test]
    fn the_last_step_is_the_output_even_where_a_stream_ends_with_a_signature() {
        let said = told(&[piece(&json!([{"text": "Hello"}])), piece(&json!([{"text": "", "thoughtSignature": "s"}]))]);
        assert_eq!(said, [json!({"type": "model_output", "content": [{"type": "text", "text": "Hello"}]})]);
        assert_eq!(told(&[]), [json!({"type": "model_output", "content": [{"type": "text", "text": ""}]})]);
    }

    #[test]
    fn code_that_ran_has_ids_and_texts() {
        let parts = json!([{"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}]);
        assert_eq!(
            told(&[piece(&parts)]),
            [
                json!({"type": "code_execution_call", "id": "call_0", "arguments": {"language": "python", "code": "1"}}),
                json!({"type": "code_execution_result", "call_id": "call_0", "result": "", "is_error": false}),
            ]
        );
    }
}
