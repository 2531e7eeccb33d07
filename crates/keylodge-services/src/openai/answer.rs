//! An answer of generateContent as a chat completion, whole or in chunks.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::request::Chat;

/// What all parts of one answer share.
#[derive(Clone, Debug)]
pub(super) struct Answering {
    model: String,
    /// Seconds since 1970.
    created: i64,
    tells_usage: bool,
}

impl Answering {
    pub(super) fn new(chat: &Chat, created: i64) -> Self {
        Self { model: chat.asked_model.clone(), created, tells_usage: chat.tells_usage }
    }

    /// A whole answer.
    pub(super) fn whole(&self, said: &Value) -> Value {
        let choices: Vec<Value> = match candidates(said) {
            // A prompt that was blocked has no answer; OpenAI's clients expect one.
            [] => vec![
                json!({"index": 0, "message": {"role": "assistant", "content": null}, "finish_reason": "content_filter"}),
            ],
            candidates => candidates.iter().map(choice).collect(),
        };
        let mut whole = self.head(said, "chat.completion");
        whole.insert("choices".to_owned(), choices.into());
        whole.insert("usage".to_owned(), usage(said));
        whole.into()
    }

    /// What becomes the chunks of a streamed answer.
    pub(super) fn stream(self) -> Chunking {
        Chunking { answering: self, choices: HashMap::new(), usage: Value::Null, last: Value::Null }
    }

    fn head(&self, said: &Value, object: &str) -> Map<String, Value> {
        let mut head = Map::new();
        head.insert("id".to_owned(), said.get("responseId").cloned().unwrap_or_else(|| "".into()));
        head.insert("object".to_owned(), object.into());
        head.insert("created".to_owned(), self.created.into());
        head.insert("model".to_owned(), self.model.clone().into());
        head
    }
}

fn candidates(said: &Value) -> &[Value] {
    said.get("candidates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn parts(candidate: &Value) -> &[Value] {
    candidate["content"].get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn index(candidate: &Value) -> u64 {
    candidate.get("index").and_then(Value::as_u64).unwrap_or(0)
}

/// What was said of a candidate's parts, without what was only thought.
fn text(parts: &[Value]) -> Option<String> {
    let said = parts.iter().filter(|part| part.get("thought").and_then(Value::as_bool) != Some(true));
    let texts: Vec<&str> = said.filter_map(|part| part.get("text")?.as_str()).collect();
    (!texts.is_empty()).then(|| texts.concat())
}

/// The calls among parts; `from` is how many there were before.
fn tool_calls(parts: &[Value], from: usize, in_stream: bool) -> Vec<Value> {
    let calls = parts.iter().filter_map(|part| Some((part.get("functionCall")?, part.get("thoughtSignature"))));
    calls
        .enumerate()
        .map(|(at, (call, signature))| {
            let at = from + at;
            let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
            // Google's own answers may have none; results must find their way back.
            let id = id.map_or_else(|| format!("function-call-{at}"), str::to_owned);
            let arguments = call.get("args").cloned().unwrap_or_else(|| json!({})).to_string();
            let mut made =
                json!({"id": id, "type": "function", "function": {"name": call["name"], "arguments": arguments}});
            // Where Google puts it, and wants it back.
            if let Some(signature) = signature.filter(|signature| signature.is_string()) {
                made["extra_content"] = json!({"google": {"thought_signature": signature}});
            }
            if in_stream {
                made["index"] = at.into();
            }
            made
        })
        .collect()
}

fn choice(candidate: &Value) -> Value {
    let parts = parts(candidate);
    let calls = tool_calls(parts, 0, false);
    let mut message = json!({"role": "assistant", "content": text(parts)});
    let has_calls = !calls.is_empty();
    if has_calls {
        message["tool_calls"] = calls.into();
    }
    let reason = finish_reason(candidate, has_calls).unwrap_or("stop");
    json!({"index": index(candidate), "message": message, "finish_reason": reason})
}

/// Why it ended, in OpenAI's words; none while it goes on.
fn finish_reason(candidate: &Value, has_calls: bool) -> Option<&'static str> {
    Some(match candidate.get("finishReason")?.as_str()? {
        "FINISH_REASON_UNSPECIFIED" => return None,
        "MAX_TOKENS" => "length",
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => "content_filter",
        _ if has_calls => "tool_calls",
        _ => "stop",
    })
}

fn usage(said: &Value) -> Value {
    let count = |name: &str| said["usageMetadata"].get(name).and_then(Value::as_u64).unwrap_or(0);
    let prompt = count("promptTokenCount") + count("toolUsePromptTokenCount");
    let completion = count("candidatesTokenCount") + count("thoughtsTokenCount");
    let mut usage =
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    if count("cachedContentTokenCount") > 0 {
        usage["prompt_tokens_details"] = json!({"cached_tokens": count("cachedContentTokenCount")});
    }
    if count("thoughtsTokenCount") > 0 {
        // As OpenAI's clients read it (`CompletionUsage` of the Python package).
        usage["completion_tokens_details"] = json!({"reasoning_tokens": count("thoughtsTokenCount")});
    }
    usage
}

/// Makes chunks of pieces.
#[derive(Debug)]
pub(super) struct Chunking {
    answering: Answering,
    /// What was said of each choice so far: how many calls, and whether it has ended.
    choices: HashMap<u64, (usize, bool)>,
    usage: Value,
    last: Value,
}

impl Chunking {
    /// The chunk of a piece; none where it says nothing.
    pub(super) fn piece(&mut self, said: &Value) -> Option<Value> {
        if said.get("usageMetadata").is_some() {
            self.usage = usage(said);
        }
        let mut choices = Vec::new();
        for candidate in candidates(said) {
            let at = index(candidate);
            let is_first = !self.choices.contains_key(&at);
            let (calls_before, is_over) = self.choices.entry(at).or_default();
            let (parts, mut delta) = (parts(candidate), Map::new());
            if is_first {
                delta.insert("role".to_owned(), "assistant".into());
            }
            if let Some(text) = text(parts).filter(|text| is_first || !text.is_empty()) {
                delta.insert("content".to_owned(), text.into());
            }
            let calls = tool_calls(parts, *calls_before, true);
            *calls_before += calls.len();
            if !calls.is_empty() {
                delta.insert("tool_calls".to_owned(), calls.into());
            }
            let reason = finish_reason(candidate, *calls_before > 0);
            *is_over |= reason.is_some();
            if !delta.is_empty() || reason.is_some() {
                choices.push(json!({"index": at, "delta": delta, "finish_reason": reason}));
            }
        }
        self.last = json!({"responseId": said.get("responseId").cloned().unwrap_or_default()});
        if choices.is_empty() {
            return None;
        }
        Some(self.chunk(choices))
    }

    /// The chunk after the last piece: what was used, where that was asked for.
    pub(super) fn end(&mut self) -> Option<Value> {
        if self.choices.is_empty() {
            // A blocked prompt.
            self.choices.insert(0, (0, true));
            let choice = json!({"index": 0, "delta": {"role": "assistant"}, "finish_reason": "content_filter"});
            return Some(self.chunk(vec![choice]));
        }
        if !self.answering.tells_usage || self.usage.is_null() {
            return None;
        }
        let mut chunk = self.chunk(Vec::new());
        chunk["usage"] = self.usage.take();
        Some(chunk)
    }

    fn chunk(&self, choices: Vec<Value>) -> Value {
        let mut chunk = self.answering.head(&self.last, "chat.completion.chunk");
        chunk.insert("choices".to_owned(), choices.into());
        chunk.into()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "what is asked and said is written where it is used")]

    use super::*;

    fn answering(tells_usage: bool) -> Answering {
        Answering { model: "models/m".to_owned(), created: 7, tells_usage }
    }

    fn said(parts: Value, more: Value) -> Value {
        let mut said = json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 1, "totalTokenCount": 6},
            "responseId": "r"});
        said["candidates"][0].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said
    }

    #[test]
    fn an_answer_is_a_completion() {
        let whole = answering(false).whole(&said(
            json!([{"text": "hm", "thought": true}, {"text": "Hel"}, {"text": "lo"}]),
            json!({"finishReason": "STOP"}),
        ));
        assert_eq!(
            whole,
            json!({"id": "r", "object": "chat.completion", "created": 7, "model": "models/m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6,
                    "completion_tokens_details": {"reasoning_tokens": 1}}})
        );
    }

    #[test]
    fn a_call_is_a_tool_call() {
        let parts =
            json!([{"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}}, {"functionCall": {"name": "g"}}]);
        let choice = &answering(false).whole(&said(parts, json!({"finishReason": "STOP"})))["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(
            choice["message"]["tool_calls"],
            json!([{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                {"id": "function-call-1", "type": "function", "function": {"name": "g", "arguments": "{}"}}])
        );
        assert_eq!(choice["message"]["content"], Value::Null);
    }

    #[test]
    fn reasons_have_openai_s_words() {
        for (theirs, ours) in [("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("OTHER", "stop")] {
            let whole = answering(false).whole(&said(json!([]), json!({"finishReason": theirs})));
            assert_eq!(whole["choices"][0]["finish_reason"], ours, "{theirs}");
        }
        let blocked = answering(false).whole(&json!({"promptFeedback": {"blockReason": "SAFETY"}}));
        assert_eq!(blocked["choices"][0]["finish_reason"], "content_filter");
    }

    #[test]
    fn pieces_are_chunks_that_add_up() {
        let mut stream = answering(true).stream();
        let first = stream.piece(&said(json!([{"text": "Hel"}]), json!({}))).unwrap();
        assert_eq!(
            first["choices"],
            json!([{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": null}])
        );
        let last = stream.piece(&said(json!([{"text": "lo"}]), json!({"finishReason": "STOP"}))).unwrap();
        assert_eq!(last["choices"], json!([{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]));
        let end = stream.end().unwrap();
        assert_eq!((&end["choices"], &end["usage"]["total_tokens"]), (&json!([]), &json!(6)));
        assert_eq!(end["object"], "chat.completion.chunk");
    }

    #[test]
    fn without_being_asked_a_stream_tells_no_usage() {
        let mut stream = answering(false).stream();
        stream.piece(&said(json!([{"text": "x"}]), json!({"finishReason": "STOP"})));
        assert_eq!(stream.end(), None);
    }

    #[test]
    fn calls_of_a_stream_are_numbered_on() {
        let mut stream = answering(false).stream();
        let call = |name: &str| json!([{"functionCall": {"name": name, "args": {}}}]);
        stream.piece(&said(call("f"), json!({})));
        let second = stream.piece(&said(call("g"), json!({"finishReason": "STOP"}))).unwrap();
        assert_eq!(second["choices"][0]["delta"]["tool_calls"][0]["index"], 1);
        assert_eq!(second["choices"][0]["finish_reason"], "tool_calls");
    }
}
