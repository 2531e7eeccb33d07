//! One turn: what was said so far is asked like any generation, and its pieces are told as they come.

use std::pin::pin;

use futures_util::StreamExt;
use keylodge_api::gemini::{LiveMessage, RealtimeInput};
use serde_json::{Map, Value, json};

use super::begin::{hold, note_use, said_no};
use super::closing::{Closing, End};
use super::history;
use super::talk::Talk;
use crate::gemini::identify::Verb;
use crate::gemini::inside::{self, Said};

/// What of a setup a generation takes, too.
const OF_GENERATION: [&str; 4] = ["systemInstruction", "generationConfig", "tools", "safetySettings"];

/// What the client said while a turn was answered, and is not in the history yet: one message or two.
#[derive(Default)]
struct Meanwhile {
    said: Vec<LiveMessage>,
    interrupts: bool,
}

/// What has come of a turn.
#[derive(Default)]
struct Answer {
    text: String,
    calls: Vec<Value>,
    usage: Option<Value>,
    /// Why it ended, in Live's words, unless it ended well.
    reason: Option<&'static str>,
}

impl Talk<'_> {
    /// Asks the model, and tells the client what it says. A message that comes meanwhile and is something to answer ends
    /// the turn, and is given back. So is what the functions gave that the model has called, but that ends nothing: a turn
    /// with calls in it is over once the model has answered to that.
    pub(super) async fn turn(&mut self) -> Result<Vec<LiveMessage>, End> {
        let body = self.body();
        self.calling.of_model(&self.model, None).map_err(|unanswered| said_no(&self.calling, unanswered))?;
        self.calling.deadline = inside::deadline(self.calling.lodge, self.calling.headers());
        // Nothing in between waits, so nobody else gets the place unless it is free.
        self.held = None;
        note_use(&self.calling);
        let mut answer = Answer::default();
        self.ear.model_answers();
        let meanwhile = self.ask(&body, &mut answer).await?;
        self.ear.model_has_said();
        self.held = Some(hold(&self.calling).await?);
        let has_called = !answer.calls.is_empty();
        if let Some(turn) = answer.turn() {
            self.history.push(turn);
        }
        if has_called && !meanwhile.interrupts {
            if let Some(usage) = answer.usage {
                self.ear.line.say(&json!({"usageMetadata": usage})).await?;
            }
            return Ok(meanwhile.said);
        }
        if meanwhile.interrupts {
            self.ear.line.say(&json!({"serverContent": {"interrupted": true}})).await?;
        } else {
            self.ear.line.say(&json!({"serverContent": {"generationComplete": true}})).await?;
        }
        let mut complete = json!({"serverContent": {"turnComplete": true}});
        if let (Some(reason), false) = (answer.reason, meanwhile.interrupts) {
            complete["serverContent"]["turnCompleteReason"] = reason.into();
        }
        if let Some(usage) = answer.usage {
            complete["usageMetadata"] = usage;
        }
        self.ear.line.say(&complete).await?;
        Ok(meanwhile.said)
    }

    /// The body of generateContent.
    fn body(&self) -> Value {
        let mut body: Map<String, Value> = Map::new();
        for name in OF_GENERATION {
            if let Some(value) = self.setup.get(name) {
                body.insert(name.to_owned(), value.clone());
            }
        }
        body.insert("contents".to_owned(), json!(self.history.contents()));
        body.into()
    }

    async fn ask(&mut self, body: &Value, answer: &mut Answer) -> Result<Meanwhile, End> {
        let Self { ear, calling, model, .. } = self;
        let no = |unanswered| End::from(said_no(calling, unanswered));
        let mut bill = calling.bill().await.map_err(no)?;
        let mut asking = pin!(calling.ask(model, Verb::StreamGenerateContent, body, &mut bill));
        let heard = loop {
            tokio::select! {
                heard = &mut asking => break heard.map_err(no)?,
                message = ear.next(calling) => {
                    if let Some(interrupting) = interrupts(message?) {
                        return Ok(Meanwhile { said: vec![interrupting], interrupts: true });
                    }
                }
            }
        };
        let mut pieces = match heard.said {
            Said::Pieces(pieces) => pieces,
            Said::Whole(whole) => {
                ear.line.tell(answer, whole).await?;
                return Ok(Meanwhile::default());
            }
        };
        let mut meanwhile = Meanwhile::default();
        loop {
            tokio::select! {
                piece = pieces.next() => match piece {
                    Some(Ok(piece)) => ear.line.tell(answer, piece).await?,
                    Some(Err(fault)) => return Err(Closing::of_fault(&fault).into()),
                    None => return Ok(meanwhile),
                },
                message = ear.next(calling) => {
                    if let Some(message) = interrupts(message?) {
                        let is_given = matches!(message, LiveMessage::ToolResponse { .. }) && !answer.calls.is_empty();
                        meanwhile.said.push(message);
                        meanwhile.interrupts = !is_given;
                        // More than one is not held back: whoever says so much waits for nothing that is still to come.
                        if !is_given || meanwhile.said.len() > 1 {
                            return Ok(meanwhile);
                        }
                    }
                }
            }
        }
    }
}

/// The message, if it ends the turn that is being answered: ends of what a person says end nothing.
fn interrupts(message: LiveMessage) -> Option<LiveMessage> {
    match message {
        LiveMessage::RealtimeInput(RealtimeInput { text: None, activity_start: false, other: None }) => None,
        message => Some(message),
    }
}

impl super::line::Line {
    /// Tells the client a piece of an answer.
    async fn tell(&mut self, answer: &mut Answer, piece: Value) -> Result<(), End> {
        for message in answer.take(piece) {
            self.say(&message).await?;
        }
        Ok(())
    }
}

impl Answer {
    /// Takes a piece in, and gives the messages that it becomes.
    fn take(&mut self, mut piece: Value) -> Vec<Value> {
        if let Some(usage) = piece.get("usageMetadata") {
            self.usage = Some(usage_of(usage));
        }
        self.reason = complete_reason(&piece).or(self.reason);
        let parts = piece.pointer_mut("/candidates/0/content/parts").map(Value::take);
        let Some(Value::Array(parts)) = parts else { return Vec::new() };
        let (calls, said): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.get("functionCall").is_some());
        let said: Vec<_> = said.into_iter().filter(|part| part.get("text").is_none_or(|text| text != "")).collect();
        let is_said = |part: &&Value| part.get("thought") != Some(&Value::Bool(true));
        for part in said.iter().filter(is_said) {
            self.text.push_str(part["text"].as_str().unwrap_or_default());
        }
        let mut messages = Vec::new();
        if !said.is_empty() {
            messages.push(json!({"serverContent": {"modelTurn": {"parts": said, "role": "model"}}}));
        }
        if !calls.is_empty() {
            let called: Vec<_> = calls.iter().map(|part| &part["functionCall"]).collect();
            messages.push(json!({"toolCall": {"functionCalls": called}}));
            self.calls.extend(calls);
        }
        messages
    }

    /// What the model said, as a turn of the conversation; none where it said nothing.
    fn turn(&mut self) -> Option<Value> {
        if self.calls.is_empty() {
            return (!self.text.is_empty()).then(|| history::turn("model", &self.text));
        }
        let mut parts = std::mem::take(&mut self.calls);
        if !self.text.is_empty() {
            parts.insert(0, json!({"text": self.text}));
        }
        Some(json!({"role": "model", "parts": parts}))
    }
}

/// Why a turn is complete, as `TurnCompleteReason` of Google's clients has it (google-genai, `types.py`), for what a
/// generation says of a prompt that is blocked or an answer that is not as the model meant it. Which of Google's reasons
/// becomes which is ours. It has no word for an answer that has as many tokens as it may (`MAX_TOKENS`): like one that is
/// whole, it is without a reason.
fn complete_reason(piece: &Value) -> Option<&'static str> {
    if let Some(blocked) = piece["promptFeedback"]["blockReason"].as_str() {
        return Some(match blocked {
            "SAFETY" | "PROHIBITED_CONTENT" | "MODEL_ARMOR" | "JAILBREAK" => "PROHIBITED_INPUT_CONTENT",
            "IMAGE_SAFETY" => "IMAGE_PROHIBITED_INPUT_CONTENT",
            "BLOCKLIST" => "BLOCKLIST",
            _ => "INPUT_OTHER",
        });
    }
    Some(match piece["candidates"][0]["finishReason"].as_str()? {
        "STOP" | "MAX_TOKENS" | "FINISH_REASON_UNSPECIFIED" => return None,
        "MALFORMED_FUNCTION_CALL" => "MALFORMED_FUNCTION_CALL",
        "SAFETY" => "GENERATED_CONTENT_SAFETY",
        "PROHIBITED_CONTENT" => "GENERATED_CONTENT_PROHIBITED",
        "BLOCKLIST" => "GENERATED_CONTENT_BLOCKLIST",
        _ => "GENERATED_OTHER",
    })
}

/// Counts of tokens in Live's names: what other surfaces call candidates is a response here.
fn usage_of(of_generation: &Value) -> Value {
    let Value::Object(counts) = of_generation else { return json!({}) };
    let renamed = counts.iter().map(|(name, count)| match name.strip_prefix("candidates") {
        Some(rest) => (format!("response{rest}"), count.clone()),
        None => (name.clone(), count.clone()),
    });
    Value::Object(renamed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_messages_with_live_s_names() {
        let mut answer = Answer::default();
        let piece = |text: &str| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]});

        let said = answer.take(piece("Hel"));
        assert_eq!(said, [json!({"serverContent": {"modelTurn": {"parts": [{"text": "Hel"}], "role": "model"}}})]);
        let mut last = piece("");
        last["usageMetadata"] = json!({"promptTokenCount": 4, "candidatesTokenCount": 3,
            "candidatesTokensDetails": [], "totalTokenCount": 7});
        assert_eq!(answer.take(last), [] as [Value; 0], "nothing said is nothing told");
        answer.take(piece("lo"));

        assert_eq!(answer.turn(), Some(history::turn("model", "Hello")));
        assert_eq!(
            answer.usage,
            Some(json!({"promptTokenCount": 4, "responseTokenCount": 3, "responseTokensDetails": [],
                "totalTokenCount": 7}))
        );
    }

    #[test]
    fn a_turn_that_did_not_end_well_says_why_in_live_s_words() {
        let check = |piece: Value, expected: Option<&str>| {
            let mut answer = Answer::default();
            answer.take(piece.clone());
            answer.take(json!({"usageMetadata": {}}));
            assert_eq!(answer.reason, expected, "{piece}");
        };
        let blocked = |reason: &str| json!({"promptFeedback": {"blockReason": reason}});
        let finished = |reason: &str| json!({"candidates": [{"finishReason": reason}]});
        check(blocked("SAFETY"), Some("PROHIBITED_INPUT_CONTENT"));
        check(blocked("BLOCKLIST"), Some("BLOCKLIST"));
        check(blocked("NEW"), Some("INPUT_OTHER"));
        check(finished("STOP"), None);
        check(finished("MAX_TOKENS"), None);
        check(finished("SAFETY"), Some("GENERATED_CONTENT_SAFETY"));
        check(finished("MALFORMED_FUNCTION_CALL"), Some("MALFORMED_FUNCTION_CALL"));
        check(finished("RECITATION"), Some("GENERATED_OTHER"));
        check(json!({"candidates": [{"content": {"parts": []}}]}), None);
    }

    #[test]
    fn a_function_that_the_model_asks_for_is_a_message_of_its_own() {
        let mut answer = Answer::default();
        let call = json!({"functionCall": {"id": "1", "name": "f", "args": {}}});

        let said = answer.take(json!({"candidates": [{"content": {"parts": [{"text": "Look:"}, call]}}]}));

        assert_eq!(said[1], json!({"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {}}]}}));
        assert_eq!(answer.turn(), Some(json!({"role": "model", "parts": [{"text": "Look:"}, call]})));
    }
}
