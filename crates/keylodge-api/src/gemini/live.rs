//! What clients of the Live API say: one field in each message.

use serde_json::Value;

use super::Setup;
use crate::proto_json::{Fields, Message};

/// A message of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveMessage {
    /// How the session is to be: the first message, and only that.
    Setup(Setup),
    /// Turns of the conversation.
    ClientContent {
        /// The turns, unread.
        turns: Vec<Value>,
        /// Whether the model is to answer now.
        turn_complete: bool,
    },
    /// What a person says right now.
    RealtimeInput(RealtimeInput),
    /// What functions gave that the model asked for.
    ToolResponse {
        /// The results, unread.
        function_responses: Vec<Value>,
    },
    /// None of these, or several at once.
    NotOne,
}

/// What a person says right now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealtimeInput {
    /// Text.
    pub text: Option<String>,
    /// Whether the person begins to speak.
    pub activity_start: bool,
    /// What else it holds, by the name of its field in snake_case: sound or pictures.
    pub other: Option<&'static str>,
}

impl Message for LiveMessage {
    const NAME: &str = "google.ai.generativelanguage.v1beta.BidiGenerateContentClientMessage";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let setup = fields.message("setup").map(Self::Setup);
        let name = "google.ai.generativelanguage.v1beta.BidiGenerateContentClientContent";
        let content = fields.message_with("clientContent", name, |fields| Self::ClientContent {
            turns: list(fields, "turns"),
            turn_complete: fields.boolean("turnComplete").unwrap_or(false),
        });
        let input = fields.message("realtimeInput").map(Self::RealtimeInput);
        let name = "google.ai.generativelanguage.v1beta.BidiGenerateContentToolResponse";
        let tools = fields.message_with("toolResponse", name, |fields| Self::ToolResponse {
            function_responses: list(fields, "functionResponses"),
        });
        let mut said = [setup, content, input, tools].into_iter().flatten();
        match (said.next(), said.next()) {
            (Some(message), None) => message,
            _ => Self::NotOne,
        }
    }
}

impl Message for RealtimeInput {
    const NAME: &str = "google.ai.generativelanguage.v1beta.BidiGenerateContentRealtimeInput";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        // Ends of what a person says: where only text is read, a text is whole when it comes.
        fields.any("activityEnd");
        fields.any("audioStreamEnd");
        let media = [("audio", "audio"), ("video", "video"), ("mediaChunks", "media_chunks")];
        let given: Vec<_> = media.iter().filter(|(name, _)| fields.any(name).is_some()).collect();
        Self {
            text: fields.string("text"),
            activity_start: fields.any("activityStart").is_some(),
            other: given.first().map(|(_, snake)| *snake),
        }
    }
}

/// A list of messages; a single object counts as a list of one.
fn list(fields: &mut Fields<'_, '_>, name: &str) -> Vec<Value> {
    match fields.any(name) {
        None => Vec::new(),
        Some(Value::Array(values)) => values.clone(),
        Some(value) => vec![value.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto_json::parse;
    use serde_json::json;

    fn read(message: &Value) -> LiveMessage {
        parse(message.to_string().as_bytes()).unwrap_or_else(|status| panic!("{status:?}"))
    }

    #[test]
    fn messages_are_read_as_both_sdks_write_them() {
        let turns = vec![json!({"role": "user", "parts": [{"text": "Hi"}]})];
        let content = LiveMessage::ClientContent { turns: turns.clone(), turn_complete: true };

        assert_eq!(read(&json!({"client_content": {"turns": turns, "turn_complete": true}})), content);
        assert_eq!(read(&json!({"clientContent": {"turns": turns[0], "turnComplete": true}})), content);
        let text = RealtimeInput { text: Some("Hi".to_owned()), ..RealtimeInput::default() };
        assert_eq!(read(&json!({"realtime_input": {"text": "Hi"}})), LiveMessage::RealtimeInput(text));
        let sound = RealtimeInput { other: Some("audio"), ..RealtimeInput::default() };
        let audio = json!({"realtimeInput": {"audio": {"data": "", "mime_type": "audio/pcm"}}});
        assert_eq!(read(&audio), LiveMessage::RealtimeInput(sound));
    }

    #[test]
    fn a_message_has_one_field_of_those_that_there_are() {
        assert_eq!(read(&json!({})), LiveMessage::NotOne);
        assert_eq!(read(&json!({"setup": {}, "clientContent": {}})), LiveMessage::NotOne);
        assert!(parse::<LiveMessage>(br#"{"sepup": {}}"#).is_err());
    }
}
