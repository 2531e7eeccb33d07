//! What a call has taken.

use std::sync::{Arc, MutexGuard};

use keylodge_rules::quota::{Amounts, Limit, Limits, Metric, Reserved};
use tokio::time::Instant;

use super::accounts::{Entry, Inside};
use super::leases::{Notice, Writer};
use super::{Answers, Holder, Short};

/// What a call has taken from its project and its key. Settle it with what the call truly used; dropped, it gives
/// everything back, as for a call that never reached an upstream.
#[derive(Debug)]
#[must_use = "a charge that is dropped is given back"]
pub struct Charge {
    /// Of the project, then of the key. On the heap, as charges wait in futures and bodies that are moved about.
    parts: Option<Box<[Option<Part>; 2]>>,
}

struct Part {
    entry: Arc<Entry>,
    limits: Arc<Limits>,
    reserved: Reserved,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("holder", &self.entry.holder)
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}

impl Charge {
    /// The charge of a call without limits.
    pub(super) const fn nothing() -> Self {
        Self { parts: None }
    }

    pub(super) fn take(
        holders: [Option<(Arc<Entry>, &Arc<Limits>)>; 2],
        model: &str,
        worst: &Amounts,
        writer: &Writer,
    ) -> Result<Self, Short> {
        // The project is locked before the key, here and everywhere.
        let mut inside = holders.each_ref().map(|holder| holder.as_ref().map(|(entry, _)| entry.lock()));
        let now = writer.now();
        let mut answers = Answers::default();
        for (inside, (entry, limits)) in inside.iter_mut().flatten().zip(holders.iter().flatten()) {
            let notice = answers.hear(&entry.holder, inside.account.room(limits, model, worst, now));
            writer.notice(notice, inside, entry);
        }
        answers.all_free()?;

        let mut reserved = [None, None];
        for (at, holder) in holders.iter().enumerate() {
            if let (Some((entry, limits)), Some(inside)) = (holder, &mut inside[at]) {
                reserved[at] = Some(inside.account.reserve(limits, model, worst, now));
                writer.notice(Notice::WhenLow, inside, entry);
            }
        }
        drop(inside);
        let [first, second] = holders;
        let part = |holder: Option<(Arc<Entry>, &Arc<Limits>)>, reserved: Option<Reserved>| {
            let (entry, limits) = holder?;
            Some(Part { entry, limits: Arc::clone(limits), reserved: reserved? })
        };
        let [of_first, of_second] = reserved;
        Ok(Self { parts: Some(Box::new([part(first, of_first), part(second, of_second)])) })
    }

    /// Takes more for the same call: tokens and money, once its body was read. From all limits or from none; what was
    /// taken before stays taken either way.
    ///
    /// # Errors
    /// When a limit has no room, or what it has is not leased.
    pub fn extend(&mut self, more: &Amounts) -> Result<(), Short> {
        let mut answers = Answers::default();
        let Some(parts) = &mut self.parts else { return Ok(()) };
        let mut locked = parts.each_mut().map(|part| part.as_mut().map(Part::lock));
        let Some(now) = locked.iter().flatten().map(|part| part.entry.writer.now()).next() else { return Ok(()) };
        for part in locked.iter_mut().flatten() {
            let room = part.inside.account.room_for_more(part.limits, part.reserved, more, now);
            let notice = answers.hear(&part.entry.holder, room);
            part.entry.writer.notice(notice, &mut part.inside, part.entry);
        }
        answers.all_free()?;
        for part in locked.iter_mut().flatten() {
            part.inside.account.reserve_more(part.limits, part.reserved, more, now);
            part.entry.writer.notice(Notice::WhenLow, &mut part.inside, part.entry);
        }
        Ok(())
    }

    /// The same, but waits for the lease when that is what is missing.
    ///
    /// # Errors
    /// As [`Charge::extend`]; [`Short::Unleased`] when the deadline comes first or the ledger is closed.
    pub async fn extend_leased(&mut self, more: &Amounts, deadline: Instant) -> Result<(), Short> {
        let Some(writer) = self.parts().map(|part| Arc::clone(&part.entry.writer)).next() else {
            return Ok(());
        };
        writer.wait(deadline, || self.extend(more)).await
    }

    /// Puts the truth in the place of what was taken. More than was taken is counted even where a limit has no room left.
    pub fn settle(mut self, truth: &Amounts) {
        self.end(truth);
    }

    /// All that is taken. Both holders are charged the same; nothing where neither has limits.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        self.parts().map(|part| part.reserved.amounts()).next().unwrap_or_default()
    }

    /// How much more there is under the limits of a metric, in its unit (money in billionths of a US dollar); none when
    /// there is no such limit. Others may take it meanwhile.
    #[must_use]
    pub fn left(&self, metric: Metric) -> Option<u64> {
        self.parts()
            .filter_map(|part| {
                let mut inside = part.entry.lock();
                let now = part.entry.writer.now();
                inside.account.left_for(metric, &part.limits, &part.reserved, now)
            })
            .min()
    }

    /// Whether a limit counts anything but calls, so that it makes a difference what this one uses.
    #[must_use]
    pub fn counts_use(&self) -> bool {
        self.parts().any(|part| part.limits.iter().any(|limit| limit.metric() != Metric::Requests))
    }

    /// The limits in shadow that would have refused the call, or what it took later.
    pub fn would_refuse(&self) -> impl Iterator<Item = (&Holder, &Limit)> {
        let parts = self.parts();
        parts.flat_map(|part| part.reserved.would_refuse(&part.limits).map(|limit| (&part.entry.holder, limit)))
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().flat_map(|parts| parts.iter().flatten())
    }

    fn end(&mut self, truth: &Amounts) {
        for Part { entry, reserved, .. } in self.parts.take().into_iter().flat_map(|parts| *parts).flatten() {
            let mut inside = entry.lock();
            let now = entry.writer.now();
            inside.account.settle(reserved, truth, now);
            entry.writer.notice(Notice::WhenLow, &mut inside, &entry);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.end(&Amounts::ZERO);
    }
}

/// A part with its account in hand.
struct Locked<'a> {
    entry: &'a Entry,
    limits: &'a Limits,
    reserved: &'a mut Reserved,
    inside: MutexGuard<'a, Inside>,
}

impl Part {
    fn lock(&mut self) -> Locked<'_> {
        let Self { entry, limits, reserved } = self;
        Locked { entry, limits, reserved, inside: entry.lock() }
    }
}
