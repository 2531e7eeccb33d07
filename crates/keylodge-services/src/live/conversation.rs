//! A session over all its connections, of which one is open at a time.
//!
//! A token's use is one session, and a handle to go on with it must not make several of it. Whoever comes with a handle takes
//! the session over, and the connection before is closed: a client that has lost its connection comes back long before
//! anybody here can know of the loss. Google is said to refuse a second connection while the first is open; clients that
//! close theirs before see no difference, and those that do not are better off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::timeout;

use super::closing::{Closing, ERROR, NORMAL};

/// How long a connection may take to leave: longer than an upstream may take to agree to the end of its own.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(5);

/// What the connections of a session share.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// How many connections it has had, those included that wait.
    newest: watch::Sender<u64>,
    /// Whose turn it is: held by the connection that is open.
    open: Arc<Mutex<()>>,
}

/// The place of a connection in its session. Dropped, it is free for the next.
#[derive(Debug)]
pub(super) struct Seat {
    mine: u64,
    newest: watch::Receiver<u64>,
    _open: OwnedMutexGuard<()>,
}

impl Conversation {
    /// Takes the session over. The connection that has it is told, and this waits until it has left.
    ///
    /// # Errors
    /// When it does not leave in time.
    pub(super) async fn take(&self) -> Result<Seat, Closing> {
        let mut mine = 0;
        self.newest.send_modify(|newest| {
            *newest += 1;
            mine = *newest;
        });
        let newest = self.newest.subscribe();
        let open = timeout(LEAVE_TIME_MAX, Arc::clone(&self.open).lock_owned()).await;
        let still_open = |_| Closing::new(ERROR, "The session is still open in another connection. Try again.");
        let open = open.map_err(still_open)?;
        // Overtaken while it waited: it takes nothing and pays for nothing.
        if *newest.borrow() != mine {
            return Err(elsewhere());
        }
        Ok(Seat { mine, newest, _open: open })
    }
}

impl Seat {
    /// Waits until another connection takes the session over.
    async fn taken(&self) {
        let mut newest = self.newest.clone();
        if newest.wait_for(|newest| *newest != self.mine).await.is_err() {
            // Nobody knows the session any more, so nobody will.
            std::future::pending().await
        }
    }
}

fn elsewhere() -> Closing {
    Closing::new(NORMAL, "The session went on in another connection.")
}

/// Does something until it is done, unless another connection takes the session over before, if that is possible. Then it
/// is dropped where it stands, as it may wait for a client that is gone.
pub(super) async fn unless_taken<T>(seat: Option<&Seat>, work: impl Future<Output = T>) -> Result<T, Closing> {
    let Some(seat) = seat else { return Ok(work.await) };
    tokio::select! {
        biased;
        () = seat.taken() => Err(elsewhere()),
        done = work => Ok(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn whoever_comes_with_a_handle_has_the_session_and_whoever_had_it_leaves() {
        let conversation = Arc::new(Conversation::default());
        let first = conversation.take().await.unwrap();
        let leaving = tokio::spawn(async move { unless_taken(Some(&first), pending::<()>()).await });

        let second = conversation.take().await.unwrap();

        assert_eq!(leaving.await.unwrap().unwrap_err().code, NORMAL);
        assert_eq!(unless_taken(Some(&second), async { "mine" }).await, Ok("mine"));
        drop(conversation);
        assert_eq!(unless_taken(Some(&second), async { "still" }).await, Ok("still"));
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_that_come_at_once_the_last_has_it() {
        let conversation = Arc::new(Conversation::default());
        let mut all = Vec::new();
        for _ in 0..5 {
            let conversation = Arc::clone(&conversation);
            all.push(tokio::spawn(async move {
                let Ok(seat) = conversation.take().await else { return false };
                timeout(LEAVE_TIME_MAX, unless_taken(Some(&seat), pending::<()>())).await.is_err()
            }));
        }

        let mut kept = 0;
        for one in all {
            kept += usize::from(one.await.unwrap());
        }
        assert_eq!(kept, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_one_before_does_not_leave_the_next_is_told() {
        let conversation = Conversation::default();
        let _stays = conversation.take().await.unwrap();

        assert_eq!(conversation.take().await.unwrap_err().code, ERROR);
    }
}
