//! Contents and their parts.

use serde_json::Value;

use crate::proto_json::{Fields, Message};

/// One turn of a conversation, or a system instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// `user`, `model` or `function`; absent means the user.
    pub role: Option<String>,
    /// What was said.
    pub parts: Vec<Part>,
}

/// One piece of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The piece itself; `None` when the part carries no data field at all.
    pub data: Option<PartData>,
    /// Whether the model only thought this.
    pub thought: bool,
}

/// The data of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartData {
    /// Text.
    Text(String),
    /// A call of a function, unread.
    FunctionCall(Value),
    /// What a function gave back, unread.
    FunctionResponse(Value),
    /// Anything else, by the name of its field in snake_case.
    Other(&'static str),
}

impl Message for Content {
    const NAME: &str = "google.ai.generativelanguage.v1beta.Content";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        Self { role: fields.string("role").filter(|role| !role.is_empty()), parts: fields.messages("parts") }
    }
}

/// The data fields besides `text`, in both spellings.
const OTHER_DATA: [(&str, &str); 8] = [
    ("inlineData", "inline_data"),
    ("fileData", "file_data"),
    ("functionCall", "function_call"),
    ("functionResponse", "function_response"),
    ("executableCode", "executable_code"),
    ("codeExecutionResult", "code_execution_result"),
    ("toolCall", "tool_call"),
    ("toolResponse", "tool_response"),
];

/// Fields that say something about the data and change nothing for a model of text.
const MODIFIERS: [&str; 10] = [
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
    "partMetadata",
    "audioTranscription",
    "mediaProcessing",
    "speechMetadata",
    "audioMetadata",
    "documentMetadata",
    "spreadsheetMetadata",
];

impl Message for Part {
    const NAME: &str = "google.ai.generativelanguage.v1beta.Part";

    fn read(fields: &mut Fields<'_, '_>) -> Self {
        let mut data = fields.string("text").map(PartData::Text);
        for (camel, snake) in OTHER_DATA {
            let Some(value) = fields.any(camel).cloned() else { continue };
            if data.is_some() {
                fields.refuse_second(camel, "data");
            }
            data = Some(match snake {
                "function_call" => PartData::FunctionCall(value),
                "function_response" => PartData::FunctionResponse(value),
                _ => PartData::Other(snake),
            });
        }
        for modifier in MODIFIERS {
            fields.any(modifier);
        }
        Self { data, thought: fields.boolean("thought").unwrap_or(false) }
    }
}
