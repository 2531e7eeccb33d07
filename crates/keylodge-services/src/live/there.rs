//! A session with a model at a Gemini upstream: a websocket of our own there, and messages both ways as they come.
//!
//! It is one call for limits and usage. What it will use cannot be reserved before it begins, so where a limit counts
//! tokens or money, it is refused rather than let past the limit.

use std::pin::pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use keylodge_rules::quota::{Metric, Tokens};
use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::begin::said_no;
use super::closing::{Closing, DENIED, ERROR, End, INVALID, NORMAL};
use super::conversation::{Seat, unless_taken};
use super::ear::Ear;
use super::history::History;
use super::line::{Heard, Line};
use super::resumption::Resumed;
use super::talk::Resuming;
use crate::bill::{BROKEN, Bill, CALLER_GONE};
use crate::calling::Calling;
use crate::failure;
use crate::gemini::models::Elsewhere;
use crate::relay::{Chosen, Ended, UpstreamError};

/// What a session uses besides being a call.
const USED: [Metric; 3] = [Metric::InputTokens, Metric::OutputTokens, Metric::Cost];

/// A session that was let in.
pub(super) struct There<'session> {
    pub(super) calling: Calling<'session>,
    pub(super) elsewhere: &'session Elsewhere,
    pub(super) model: String,
    /// Without its model and its resumption.
    pub(super) setup: Map<String, Value>,
    pub(super) resuming: Option<Resuming>,
}

impl There<'_> {
    /// Carries messages until one side ends it, or the session goes on in another connection.
    pub(super) async fn relay(self, ear: &mut Ear, seat: Option<&Seat>) -> End {
        let mut bill = match self.calling.bill().await {
            Ok(bill) => bill,
            Err(unanswered) => return said_no(&self.calling, unanswered).into(),
        };
        if bill.as_ref().is_some_and(|bill| USED.iter().any(|metric| bill.left(*metric).is_some())) {
            if let Some(bill) = bill {
                bill.void();
            }
            let reason =
                "A limit of tokens or money holds here, and what a session at an upstream uses cannot be reserved.";
            return Closing::new(DENIED, reason).into();
        }
        let end = match unless_taken(seat, pin!(self.open())).await.flatten() {
            Ok(mut upstream) => {
                let end = unless_taken(seat, pin!(self.carry(ear, &mut upstream, &mut bill))).await;
                let end = end.unwrap_or_else(End::from);
                match &end {
                    End::HungUp(_) => upstream.agree().await,
                    End::Gone => upstream.close(&Closing::new(NORMAL, "")).await,
                    End::Close(closing) => {
                        upstream.close(&Closing { code: NORMAL, reason: closing.reason.clone() }).await
                    }
                }
                end
            }
            Err(closing) => closing.into(),
        };
        if let Some(bill) = &mut bill {
            bill.outcome = match &end {
                End::Gone => CALLER_GONE,
                End::HungUp(said) | End::Close(said) if said.code == ERROR => BROKEN,
                End::HungUp(_) | End::Close(_) => "ok",
            };
        }
        // What the upstream said at the end, the client is told.
        match end {
            End::HungUp(said) => End::Close(said),
            end => end,
        }
    }

    /// A websocket of ours, with the setup said.
    async fn open(&self) -> Result<Line, Closing> {
        let Self { calling, elsewhere, model, setup, resuming } = self;
        let lodge = calling.lodge;
        let key = HeaderValue::from_str(&BASE64_STANDARD.encode(lodge.random::<16>()));
        let key = key.map_err(|_| Closing::new(ERROR, "Internal error encountered."))?;
        let version = &calling.version;
        let path = format!("/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent");
        let (upstream, there) = (&elsewhere.upstream, elsewhere.model(model));
        let account = resuming.as_ref().and_then(|resuming| resuming.account.as_ref());
        let socket = upstream.socket(&path, &key, Some(&there.into()), account).await;
        let socket = socket.map_err(|error| Closing::of_status(&failure::upstream(&upstream.name, &error)))?;
        // The credential stays in use with the line: sessions at an upstream are few and long.
        let mut line = Line::new(socket.connection, Role::Client, lodge.limits.body_bytes_max).await;
        line.keep(socket.chosen);
        let mut asked = setup.clone();
        asked.insert("model".to_owned(), format!("models/{there}").into());
        if let Some(resuming) = resuming {
            asked.insert("sessionResumption".to_owned(), resuming.asked());
        }
        let said = Message::Text(json!({"setup": asked}).to_string().into());
        line.send(said).await.map_err(|_| broke_off())?;
        Ok(line)
    }

    async fn carry(&self, ear: &mut Ear, upstream: &mut Line, bill: &mut Option<Box<Bill>>) -> End {
        // As long as nothing but the setup was said, and nothing answered, it can be said with another credential.
        // What another account has begun cannot.
        let mut is_fresh = self.resuming.as_ref().is_none_or(|resuming| resuming.account.is_none());
        let (mut is_taken, mut tries) = (false, 1);
        let there = &self.elsewhere.upstream;
        loop {
            let done = tokio::select! {
                said = ear.next_raw(&self.calling) => match said {
                    Ok(message) if sets_up(&message) => {
                        Err(Closing::new(INVALID, "setup must be the first message, and only that.").into())
                    }
                    Ok(message) => {
                        is_fresh = false;
                        upstream.send(message).await.map_err(|_| broke_off().into())
                    }
                    Err(End::HungUp(_)) => Err(End::Gone),
                    Err(end) => Err(end),
                },
                heard = upstream.next() => match heard {
                    Ok(Heard::Sign) => Ok(()),
                    Ok(Heard::Message(message)) => {
                        is_fresh = false;
                        if !std::mem::replace(&mut is_taken, true) && let Some(chosen) = upstream.chosen() {
                            chosen.taken();
                        }
                        self.read(&message, upstream, bill);
                        ear.model_has_said();
                        ear.line.send(message).await
                    }
                    Err(End::HungUp(said)) => match there.ended(upstream.chosen(), &said.reason) {
                        Ended::Other => Err(End::HungUp(said)),
                        _ if is_fresh && there.may_have_another(tries) => {
                            tries += 1;
                            self.open().await.map(|other| *upstream = other).map_err(End::from)
                        }
                        Ended::TooMany => Err(End::HungUp(said)),
                        Ended::Credential => {
                            let status = failure::upstream(&there.name, &UpstreamError::Credential);
                            Err(Closing::of_status(&status).into())
                        }
                    },
                    Err(_) => Err(broke_off().into()),
                },
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Looks into a message in passing: what was used, and handles that the same key may come back with.
    fn read(&self, message: &Message, upstream: &Line, bill: &mut Option<Box<Bill>>) {
        let bytes = bytes_of(message);
        let has = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
        if !has(b"usageMetadata") && !has(b"newHandle") {
            return;
        }
        let Ok(message) = serde_json::from_slice::<Value>(bytes) else { return };
        if let (Some(usage), Some(bill)) = (message.get("usageMetadata"), bill) {
            let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
            let sum =
                |before: u64, one: &str, other: &str| before.saturating_add(count(one)).saturating_add(count(other));
            let before = bill.tokens;
            bill.tokens = Tokens {
                input: sum(before.input, "promptTokenCount", "toolUsePromptTokenCount"),
                output: sum(before.output, "responseTokenCount", "thoughtsTokenCount"),
                ..before
            };
        }
        let handle = message.pointer("/sessionResumptionUpdate/newHandle").and_then(Value::as_str);
        if let (Some(handle), Some(resuming)) = (handle, &self.resuming) {
            let lodge = self.calling.lodge;
            let (history, conversation) = (History::default(), Arc::clone(&resuming.conversation));
            let resumed = Resumed { history, conversation, account: upstream.chosen().and_then(Chosen::member) };
            lodge.live.memory.keep(handle.into(), resuming.owner.clone(), resumed, lodge.now());
        }
    }
}

/// Whether a message would set the session up once more, perhaps for another model than the gate was asked about.
fn sets_up(message: &Message) -> bool {
    let bytes = bytes_of(message);
    // Only what holds the word is read; a backslash could hide it. What cannot be read then is not passed on.
    let may = memchr::memmem::find(bytes, b"setup").is_some() || memchr::memchr(b'\\', bytes).is_some();
    may && serde_json::from_slice::<Value>(bytes).map_or(true, |message| message.get("setup").is_some())
}

fn bytes_of(message: &Message) -> &[u8] {
    match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        _ => &[],
    }
}

fn broke_off() -> Closing {
    Closing::new(ERROR, "The server behind this API broke off.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_setup_is_seen_however_it_is_written() {
        for (said, expected) in [
            (r#"{"setup": {"model": "models/other"}}"#, true),
            (r#"{"\u0073etup": {}}"#, true),
            (r#"{"clientContent": {"turns": [{"parts": [{"text": "the setup"}]}]}}"#, false),
            ("\u{feff}{\"setup\": {}}", true),
        ] {
            assert_eq!(sets_up(&Message::text(said)), expected, "{said}");
            assert_eq!(sets_up(&Message::binary(said.as_bytes().to_vec())), expected, "{said}");
        }
    }
}
