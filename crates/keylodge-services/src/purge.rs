//! What has had its time goes: deleted keys after 30 days, rotated-out strings after their overlap, old operations,
//! interactions and ephemeral tokens.

use std::time::Duration;

use keylodge_rules::Timestamp;
use keylodge_store::{Committed, StoreError};
use tokio::sync::watch;

use crate::observe::chain;
use crate::{Lodge, uses};

/// How often the purge looks. A key that is due is treated as gone already; this only takes it out of the store. A string
/// that nobody has used for as long as was agreed stays good until this looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(5 * 60);

/// How long finished operations can be asked about.
const OPERATIONS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many keys one transaction removes, so that other changes need not wait long.
const AT_ONCE: u32 = 100;

/// Purges until `stop` turns true or is dropped.
pub async fn run(lodge: Lodge, mut stop: watch::Receiver<bool>) {
    loop {
        match step(&lodge).await {
            Ok(0) => {}
            Ok(keys) => tracing::info!(keys, "purged deleted keys whose 30 days are over"),
            Err(error) => tracing::warn!(error = chain(&error), "cannot purge deleted keys now"),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Purges everything that is due now. Gives how many keys that were.
///
/// # Errors
/// When the database does not answer.
pub async fn step(lodge: &Lodge) -> Result<usize, StoreError> {
    let mut purged = 0;
    loop {
        let act = lodge.own_act("keylodge.PurgeKeys");
        let Committed { value: keys, revision } = lodge.store.purge_keys(AT_ONCE, &act).await?;
        if keys == 0 {
            break;
        }
        purged += keys;
        // A gate that is late goes on refusing the keys as deleted, which is no harm.
        let _ = lodge.feed.caught_up_with(revision).await;
    }
    // Who used an old string a moment ago counts.
    uses::freshen(lodge).await;
    loop {
        let act = lodge.own_act("keylodge.EndKeyOverlap");
        let Committed { value: strings, revision } = lodge.store.end_overlaps(AT_ONCE, &act).await?;
        if strings == 0 {
            break;
        }
        let _ = lodge.feed.caught_up_with(revision).await;
    }
    let micros = i64::try_from(OPERATIONS_KEPT.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(lodge.now().micros().saturating_sub(micros));
    lodge.store.forget_operations(before).await?;
    lodge.interactions.purge(lodge.now()).await?;
    lodge.auth_tokens.purge(lodge.now()).await?;
    Ok(purged)
}
