//! Everything a session waits for besides its model: what the client says, what becomes of its key, and the time.

use std::sync::Arc;
use std::time::Duration;

use keylodge_api::gemini::LiveMessage;
use keylodge_api::proto_json;
use keylodge_rules::Revision;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use super::closing::{Closing, DENIED, End, NORMAL};
use super::line::{Heard, Line};
use super::refused;
use crate::Lodge;
use crate::auth_tokens::AuthToken;
use crate::calling::Calling;

/// How long before its end a session is told of it, at most.
const GO_AWAY_BEFORE: Duration = Duration::from_secs(30);

/// How long a client may say nothing while it is its turn.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);

/// How often a client is asked whether it is there. One that gives no sign of life for two of these is gone.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How often the gate is asked although no key has changed: strings that are rotated out, keys, tokens and hours end by the
/// clock alone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a session listens with.
pub(super) struct Ear {
    pub(super) line: Line,
    revisions: watch::Receiver<Revision>,
    stopping: watch::Receiver<bool>,
    token: Option<Arc<AuthToken>>,
    warns_at: Option<Instant>,
    ends_at: Instant,
    /// None while the model answers: then it is not the client who has nothing to say.
    idle_at: Option<Instant>,
    pings_at: Instant,
    looks_at: Instant,
    is_quiet: bool,
    /// How many messages of the client were taken, the setup among them.
    pub(super) taken: u64,
}

/// What there is to do.
enum Event {
    Heard(Heard),
    KeysChanged,
    Look,
    Stop,
    Ping,
    Warn,
    TooLong,
    TooIdle,
}

impl Ear {
    pub(super) fn new(lodge: &Lodge, line: Line, token: Option<Arc<AuthToken>>) -> Self {
        let longest = lodge.limits.live.session_time_max;
        let now = Instant::now();
        let before = GO_AWAY_BEFORE.min(longest / 2);
        Self {
            line,
            revisions: lodge.feed.revisions(),
            stopping: lodge.live.stopping(),
            token,
            warns_at: Some(now + (longest - before)),
            ends_at: now + longest,
            idle_at: Some(now + IDLE_MAX),
            pings_at: now + PING_EVERY,
            looks_at: now + LOOK_EVERY,
            is_quiet: false,
            taken: 1,
        }
    }

    /// From now on the model is to say something.
    pub(super) const fn model_answers(&mut self) {
        self.idle_at = None;
    }

    /// The model has said something, and the next word is the client's.
    pub(super) fn model_has_said(&mut self) {
        self.idle_at = Some(Instant::now() + IDLE_MAX);
    }

    /// The client's next message. Dropped before it is there, nothing is lost.
    ///
    /// # Errors
    /// When the session ends: the client is gone, its key opens no more, or it is time.
    pub(super) async fn next(&mut self, calling: &Calling<'_>) -> Result<LiveMessage, End> {
        loop {
            let message = self.next_raw(calling).await?;
            let text = match &message {
                Message::Text(text) => text.as_bytes(),
                Message::Binary(bytes) => bytes,
                _ => continue,
            };
            return proto_json::parse(text).map_err(|status| Closing::of_status(&status).into());
        }
    }

    /// The same, as it came.
    pub(super) async fn next_raw(&mut self, calling: &Calling<'_>) -> Result<Message, End> {
        loop {
            match self.event().await? {
                Event::Heard(Heard::Sign) => self.is_quiet = false,
                Event::Heard(Heard::Message(message)) => {
                    self.is_quiet = false;
                    self.idle_at = self.idle_at.map(|_| Instant::now() + IDLE_MAX);
                    self.taken += 1;
                    self.check(calling)?;
                    return Ok(message);
                }
                Event::KeysChanged => self.check(calling)?,
                Event::Look => {
                    self.looks_at = Instant::now() + LOOK_EVERY;
                    self.check(calling)?;
                }
                Event::Stop => return Err(Closing::away().into()),
                Event::Ping if self.is_quiet => return Err(End::Gone),
                Event::Ping => {
                    (self.is_quiet, self.pings_at) = (true, Instant::now() + PING_EVERY);
                    self.line.ping().await?;
                }
                Event::Warn => {
                    self.warns_at = None;
                    let left = self.ends_at.saturating_duration_since(Instant::now());
                    let left = format!("{}s", left.as_millis().div_ceil(1000));
                    self.line.say(&json!({"goAway": {"timeLeft": left}})).await?;
                }
                Event::TooLong => return Err(Closing::new(NORMAL, "The session was as long as one may be.").into()),
                Event::TooIdle => {
                    let reason = format!("Nothing came for {} seconds.", IDLE_MAX.as_secs());
                    return Err(Closing::new(NORMAL, &reason).into());
                }
            }
        }
    }

    /// Whether the key and the token of the session still open it.
    fn check(&self, calling: &Calling<'_>) -> Result<(), End> {
        calling.again().map_err(|refusal| refused(calling, refusal))?;
        let is_over = self.token.as_ref().is_some_and(|token| token.expire_time <= calling.lodge.now());
        if is_over {
            return Err(Closing::new(DENIED, "The ephemeral token expired. Ask for a new one where you got it.").into());
        }
        Ok(())
    }

    async fn event(&mut self) -> Result<Event, End> {
        let (warning, idle) = (reached(self.warns_at), reached(self.idle_at));
        tokio::select! {
            // What happens to the key comes before what the client says.
            biased;
            // Without a follower nothing changes any more; the check at each message holds.
            Ok(()) = self.revisions.changed() => Ok(Event::KeysChanged),
            Ok(_) = self.stopping.wait_for(|stop| *stop) => Ok(Event::Stop),
            () = sleep_until(self.looks_at) => Ok(Event::Look),
            () = sleep_until(self.ends_at) => Ok(Event::TooLong),
            () = warning => Ok(Event::Warn),
            heard = self.line.next() => Ok(Event::Heard(heard?)),
            () = idle => Ok(Event::TooIdle),
            () = sleep_until(self.pings_at) => Ok(Event::Ping),
        }
    }
}

/// Waits for a moment; where there is none, for ever.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
