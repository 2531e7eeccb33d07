//! Wakes that would only have a task look again at what it is looking at.
//!
//! A caller's connection, the call and the upstream's connection are one task. When one of them hands something to
//! another they wake their task, as if the other were elsewhere: so each call would be polled twice as often as there is
//! anything to do, and a poll goes through all of hyper. [`Quiet`] is between a connection and its task; [`hush`] runs a
//! piece of work of which it is known that what it wakes is polled next anyway, or has nothing more to do.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

/// Passes the wakes of one connection on to its task, but for those that are hushed.
pub struct Quiet {
    inside: Waker,
    task: Arc<Task>,
}

#[derive(Default)]
struct Task(OnceLock<Waker>);

/// The address of the task whose wakes are not passed on by this thread now; 0 is none.
type Address = usize;

thread_local! {
    static HUSHED: Cell<Address> = const { Cell::new(0) };
    static HEARD: Cell<bool> = const { Cell::new(false) };
}

impl Default for Quiet {
    fn default() -> Self {
        let task = Arc::<Task>::default();
        Self { inside: Waker::from(Arc::clone(&task)), task }
    }
}

impl Quiet {
    /// Polls a future of the connection.
    pub fn poll<T>(&self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let known = self.task.0.get_or_init(|| cx.waker().clone());
        if known.will_wake(cx.waker()) {
            poll(&mut Context::from_waker(&self.inside))
        } else {
            // It went to another task, whose waker it must know now.
            poll(cx)
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if HUSHED.get() == Arc::as_ptr(self).addr() {
            HEARD.set(true);
        } else if let Some(task) = self.0.get() {
            task.wake_by_ref();
        }
    }
}

/// Does a piece of work. If this task is woken by it, on this thread, that counts only if `needed` says so of what came of
/// it. What others wake at the same time always counts.
pub(super) fn hush<T>(waker: &Waker, work: impl FnOnce() -> T, needed: impl FnOnce(&T) -> bool) -> T {
    let guard = Guard(HUSHED.replace(waker.data().addr()), HEARD.replace(false));
    let result = work();
    let heard = HEARD.get();
    drop(guard);
    if heard && needed(&result) {
        waker.wake_by_ref();
    }
    result
}

/// Puts back what was before, also when the work panics.
struct Guard(Address, bool);

impl Drop for Guard {
    fn drop(&mut self) {
        HUSHED.set(self.0);
        HEARD.set(self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a task is woken that does so inside a connection's poll.
    fn wakes(inside: impl FnOnce(&Waker)) -> u32 {
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        Quiet::default().poll(&mut Context::from_waker(&waker), |cx| inside(cx.waker()));
        count.0.load(Ordering::Relaxed)
    }

    #[test]
    fn a_wake_counts_unless_it_is_hushed() {
        assert_eq!(wakes(Waker::wake_by_ref), 1);
        assert_eq!(wakes(|waker| hush(waker, || waker.wake_by_ref(), |()| false)), 0);
    }

    #[test]
    fn a_hushed_wake_that_was_needed_counts_once() {
        let twice = |waker: &Waker| {
            waker.wake_by_ref();
            waker.wake_by_ref();
        };
        assert_eq!(wakes(|waker| hush(waker, || twice(waker), |()| true)), 1);
        assert_eq!(wakes(|waker| hush(waker, || (), |()| true)), 0);
    }

    #[test]
    fn a_wake_from_another_thread_always_counts() {
        let from_outside = |waker: &Waker| std::thread::scope(|scope| scope.spawn(|| waker.wake_by_ref()).join());
        assert_eq!(wakes(|waker| hush(waker, || from_outside(waker).unwrap(), |()| false)), 1);
    }

    #[test]
    fn another_task_is_not_hushed() {
        let other = |waker: &Waker| assert_eq!(wakes(Waker::wake_by_ref), 1, "{waker:?}");
        assert_eq!(wakes(|waker| hush(waker, || other(waker), |()| false)), 0);
    }

    #[test]
    fn after_a_panic_it_is_as_before() {
        let panics = |waker: &Waker| {
            let panic = || hush(waker, || panic!("as it may happen"), |()| false);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic)).unwrap_err();
            waker.wake_by_ref();
        };
        assert_eq!(wakes(panics), 1);
    }

    #[test]
    fn a_connection_that_changes_its_task_wakes_the_new_one() {
        let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
        let quiet = Quiet::default();
        for task in [&first, &second, &second] {
            let waker = Waker::from(Arc::clone(task));
            quiet.poll(&mut Context::from_waker(&waker), |cx| cx.waker().wake_by_ref());
        }
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 2));
    }
}
