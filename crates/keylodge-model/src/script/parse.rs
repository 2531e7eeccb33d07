//! Reads a script file and says everything that is wrong with it.

use std::fmt;
use std::time::Duration;

use toml::{Table, Value};

use super::{Fault, ModelPattern, Reply, tokens};
use crate::Finish;

const FILE_BYTES_MAX: usize = 16 << 20;
const REPLIES_MAX: usize = 10_000;
const DELAY_MS_MAX: i64 = 60_000;
const FIELDS: [&str; 10] =
    ["model", "contains", "text", "tokens", "delay_ms", "status", "fail_after", "message", "finish", "prompt_tokens"];

/// Everything that is wrong with a script, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Never empty.
    pub mistakes: Vec<ScriptMistake>,
}

/// One thing that is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptMistake {
    /// Which `[[reply]]`, counted from 1; `None` when the mistake is outside of any.
    pub reply: Option<usize>,
    /// The field, when it is about one.
    pub field: Option<String>,
    /// What is wrong and what would be right.
    pub what: String,
}

/// Reads all replies, or finds all mistakes.
pub(super) fn replies(text: &str) -> Result<Vec<Reply>, ScriptError> {
    let alone = |what: String| ScriptError { mistakes: vec![ScriptMistake { reply: None, field: None, what }] };

    if text.len() > FILE_BYTES_MAX {
        return Err(alone(format!("the script has {} bytes; at most {FILE_BYTES_MAX} are read", text.len())));
    }
    let file: Table = toml::from_str(text).map_err(|error| alone(error.to_string().trim_end().to_owned()))?;
    let mut mistakes: Vec<ScriptMistake> = unknown_fields(&file, &["reply"], None).collect();

    let tables = match file.get("reply") {
        None => &[][..],
        Some(Value::Array(tables)) => tables,
        Some(_) => return Err(alone("`reply` must be written as `[[reply]]`, once for each reply".to_owned())),
    };
    if tables.len() > REPLIES_MAX {
        return Err(alone(format!("there are {} replies; at most {REPLIES_MAX} are allowed", tables.len())));
    }

    let mut replies = Vec::with_capacity(tables.len());
    for (index, value) in tables.iter().enumerate() {
        match value {
            Value::Table(table) => replies.push(Reader { number: index + 1, table, mistakes: &mut mistakes }.reply()),
            _ => mistakes.push(ScriptMistake {
                reply: Some(index + 1),
                field: None,
                what: "must be a table, written as `[[reply]]`".to_owned(),
            }),
        }
    }
    if mistakes.is_empty() { Ok(replies) } else { Err(ScriptError { mistakes }) }
}

fn unknown_fields<'a>(
    table: &'a Table,
    known: &'a [&str],
    reply: Option<usize>,
) -> impl Iterator<Item = ScriptMistake> + 'a {
    table.keys().filter(|key| !known.contains(&key.as_str())).map(move |key| ScriptMistake {
        reply,
        field: Some(key.clone()),
        what: format!("is not known; known are: {}", known.join(", ")),
    })
}

/// Reads one reply. Every mistake is noted and the reading goes on; what it returns counts only if none was.
struct Reader<'a> {
    number: usize,
    table: &'a Table,
    mistakes: &'a mut Vec<ScriptMistake>,
}

impl<'a> Reader<'a> {
    fn reply(mut self) -> Reply {
        let unknown: Vec<_> = unknown_fields(self.table, &FIELDS, Some(self.number)).collect();
        self.mistakes.extend(unknown);
        Reply {
            model: self.model(),
            contains: self.text("contains").map(str::to_lowercase),
            fault: self.fault(),
            pieces: self.pieces(),
            delay: self.number("delay_ms", 0, DELAY_MS_MAX).map_or(Duration::ZERO, Duration::from_millis),
            finish: self.finish(),
            prompt_tokens: self.number("prompt_tokens", 0, i64::from(u32::MAX)),
        }
    }

    fn model(&mut self) -> Option<ModelPattern> {
        let name = self.text("model")?;
        let (beginning, star) = match name.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (name, false),
        };
        if beginning.contains('*') {
            self.mistake("model", "may have a `*` only at its end");
        }
        let beginning = beginning.to_owned();
        Some(if star { ModelPattern::StartsWith(beginning) } else { ModelPattern::Exactly(beginning) })
    }

    fn pieces(&mut self) -> Vec<String> {
        match (self.text("text"), self.table.get("tokens")) {
            (Some(_), Some(_)) => self.mistake("tokens", "cannot stand beside `text`; give one of the two"),
            (Some(text), None) => return tokens::split(text),
            (None, Some(Value::Array(pieces))) => return self.token_list(pieces),
            (None, Some(_)) => self.mistake("tokens", "must be a list of strings"),
            (None, None) if self.table.contains_key("text") || self.table.contains_key("status") => {}
            (None, None) => self.mistake("text", "is missing; a reply needs `text`, `tokens` or `status`"),
        }
        Vec::new()
    }

    fn token_list(&mut self, pieces: &[Value]) -> Vec<String> {
        let texts: Vec<String> =
            pieces.iter().filter_map(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        if texts.len() < pieces.len() {
            self.mistake("tokens", "must be a list of strings, none of them empty");
        }
        texts
    }

    fn fault(&mut self) -> Option<Fault> {
        let status = self.number("status", 400, 599);
        let after = self.number("fail_after", 0, i64::from(u32::MAX));
        let message = self.text("message").map(str::to_owned);
        if !self.table.contains_key("status") {
            for field in ["fail_after", "message"].into_iter().filter(|field| self.table.contains_key(*field)) {
                self.mistake(field, "means nothing without `status`");
            }
        }
        let status = u16::try_from(status?).ok()?;
        Some(Fault { status, message, after: after.and_then(|pieces| usize::try_from(pieces).ok()) })
    }

    fn finish(&mut self) -> Finish {
        match self.text("finish") {
            None | Some("STOP") => Finish::Stop,
            Some("MAX_TOKENS") => Finish::MaxTokens,
            Some(_) => {
                self.mistake("finish", "must be \"STOP\" or \"MAX_TOKENS\"");
                Finish::Stop
            }
        }
    }

    fn text(&mut self, field: &str) -> Option<&'a str> {
        match self.table.get(field) {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.mistake(field, "must be a string");
                None
            }
        }
    }

    fn number(&mut self, field: &str, min: i64, max: i64) -> Option<u64> {
        match self.table.get(field) {
            None => None,
            Some(Value::Integer(number)) if (min..=max).contains(number) => u64::try_from(*number).ok(),
            Some(_) => {
                self.mistake(field, &format!("must be a whole number from {min} to {max}"));
                None
            }
        }
    }

    fn mistake(&mut self, field: &str, what: &str) {
        self.mistakes.push(ScriptMistake {
            reply: Some(self.number),
            field: Some(field.to_owned()),
            what: what.to_owned(),
        });
    }
}

impl fmt::Display for ScriptMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.reply {
            write!(f, "reply {number}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "`{field}` ")?;
        }
        f.write_str(&self.what)
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScriptError {}
