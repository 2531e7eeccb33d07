//! A session whose turns we answer ourselves, or have answered: what was said goes along with each.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keylodge_api::gemini::{LiveMessage, RealtimeInput};
use keylodge_gate::Charge;
use keylodge_rules::upstream::Member;
use serde_json::{Map, Value, json};

use super::closing::{Closing, End, INVALID};
use super::conversation::Conversation;
use super::ear::Ear;
use super::history::{self, History};
use super::resumption::{Owner, Resumed};
use crate::calling::Calling;

/// How many handles of a session are good at a time: a client that is gone may not have heard of the newest.
const HANDLES_MAX: usize = 2;

/// A session that was let in.
pub(super) struct Talk<'session> {
    pub(super) ear: &'session mut Ear,
    pub(super) calling: Calling<'session>,
    /// Without its model and its resumption.
    pub(super) setup: Map<String, Value>,
    pub(super) model: String,
    /// Whether an engine of ours answers.
    pub(super) is_ours: bool,
    pub(super) history: History,
    pub(super) resuming: Option<Resuming>,
    /// Between turns the session is in flight by itself; a turn is a call, which takes its place.
    pub(super) held: Option<Charge>,
}

/// What a client wants of going on later.
pub(super) struct Resuming {
    pub(super) owner: Owner,
    /// The session, of which this is one connection.
    pub(super) conversation: Arc<Conversation>,
    /// The account at an upstream that the session to go on with was begun with.
    pub(super) account: Option<Member>,
    /// The session to go on with now.
    pub(super) handle: Option<String>,
    /// Whether the client is told how many of its messages are in what was kept.
    transparent: bool,
    given: VecDeque<Arc<str>>,
}

impl Resuming {
    pub(super) fn new(asked: &Value, owner: Owner) -> Self {
        let handle = asked.get("handle").and_then(Value::as_str).filter(|handle| !handle.is_empty());
        let transparent = asked.get("transparent").and_then(Value::as_bool).unwrap_or(false);
        let (conversation, handle) = (Arc::default(), handle.map(str::to_owned));
        Self { owner, conversation, account: None, handle, transparent, given: VecDeque::new() }
    }

    /// The same for an upstream.
    pub(super) fn asked(&self) -> Value {
        let mut asked = json!({});
        if let Some(handle) = &self.handle {
            asked["handle"] = handle.as_str().into();
        }
        if self.transparent {
            asked["transparent"] = true.into();
        }
        asked
    }
}

impl Talk<'_> {
    /// Talks until one side ends it.
    pub(super) async fn run(mut self) -> End {
        match self.talk().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn talk(&mut self) -> Result<Infallible, End> {
        self.ear.line.say(&json!({"setupComplete": {}})).await?;
        let mut pending = Vec::new();
        loop {
            if pending.is_empty() {
                pending.push(self.ear.next(&self.calling).await?);
            }
            let mut is_due = false;
            for message in std::mem::take(&mut pending) {
                is_due |= self.take_in(message)?;
            }
            if is_due {
                pending = self.turn().await?;
                self.remember(pending.len() as u64).await?;
            }
        }
    }

    /// Takes in what the client says. Gives whether the model is to answer now.
    fn take_in(&mut self, message: LiveMessage) -> Result<bool, End> {
        let invalid = |reason: &str| Err(Closing::new(INVALID, reason).into());
        let is_due = match message {
            LiveMessage::Setup(_) => return invalid("setup must be the first message, and only that."),
            LiveMessage::NotOne => return invalid("A message has one of clientContent, realtimeInput, toolResponse."),
            LiveMessage::ClientContent { turns, turn_complete } => {
                turns.into_iter().for_each(|turn| self.history.push(turn));
                turn_complete
            }
            LiveMessage::RealtimeInput(RealtimeInput { other: Some(field), .. }) => {
                return invalid(&format!("realtime_input.{field}: the model behind this name reads text only"));
            }
            LiveMessage::RealtimeInput(RealtimeInput { text: Some(text), .. }) => {
                self.history.push(history::turn("user", &text));
                true
            }
            LiveMessage::RealtimeInput(_) => false,
            LiveMessage::ToolResponse { .. } if self.is_ours => {
                return invalid(
                    "tool_response: with the model behind this name, functions are not called in Live sessions",
                );
            }
            LiveMessage::ToolResponse { function_responses } => {
                let part = |response: Value| json!({"functionResponse": response});
                let parts: Vec<_> = function_responses.into_iter().map(part).collect();
                self.history.push(json!({"role": "user", "parts": parts}));
                true
            }
        };
        let bytes_max = self.calling.lodge.limits.body_bytes_max;
        let window = self.setup.get("contextWindowCompression").is_some_and(|asked| !asked.is_null());
        if window {
            self.history.slide(bytes_max / 2);
        }
        if self.history.bytes() > bytes_max {
            return invalid(&format!("What was said in the session is more than {bytes_max} bytes."));
        }
        Ok(is_due)
    }

    /// Keeps what was said so far, and tells the client how to go on with it. So many messages have come and are not in it
    /// yet.
    async fn remember(&mut self, pending: u64) -> Result<(), End> {
        let Some(resuming) = &mut self.resuming else { return Ok(()) };
        let lodge = self.calling.lodge;
        let handle: Arc<str> = BASE64_URL_SAFE_NO_PAD.encode(lodge.random::<24>()).into();
        let conversation = Arc::clone(&resuming.conversation);
        let resumed = Resumed { history: self.history.clone(), conversation, account: None };
        lodge.live.memory.keep(Arc::clone(&handle), resuming.owner.clone(), resumed, lodge.now());
        let mut update = json!({"newHandle": &*handle, "resumable": true});
        if resuming.transparent {
            update["lastConsumedClientMessageIndex"] = (self.ear.taken - 1 - pending).to_string().into();
        }
        resuming.given.push_back(handle);
        if resuming.given.len() > HANDLES_MAX
            && let Some(oldest) = resuming.given.pop_front()
        {
            lodge.live.memory.forget(&oldest);
        }
        self.ear.line.say(&json!({"sessionResumptionUpdate": update})).await
    }
}
