//! One timer for all heads of a connection. hyper asks for a new one for each head, and to make one, to register it and to
//! take it out again costs more than to read the head.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use tokio::time::Sleep;

/// Gives out the same timer again, set to another time.
#[derive(Debug, Default)]
pub(super) struct OneTimer(Arc<Mutex<Option<Kept>>>);

type Kept = Pin<Box<Sleep>>;

/// A timer that comes back when it is dropped. It need not be taken out of the clock: what rings early only looks, and it
/// is set to a later time by then.
struct Lent {
    timer: Option<Kept>,
    home: Arc<Mutex<Option<Kept>>>,
}

impl rt::Timer for OneTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        let deadline = deadline.into();
        let timer = match take(&self.0) {
            Some(mut timer) => {
                timer.as_mut().reset(deadline);
                timer
            }
            None => Box::pin(tokio::time::sleep_until(deadline)),
        };
        Box::pin(Lent { timer: Some(timer), home: Arc::clone(&self.0) })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

fn take(home: &Mutex<Option<Kept>>) -> Option<Kept> {
    home.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl rt::Sleep for Lent {}

impl Future for Lent {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().map_or(Poll::Ready(()), |timer| timer.as_mut().poll(cx))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.timer.take();
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Timer;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn is_over(timer: &mut Pin<Box<dyn rt::Sleep>>) -> bool {
        timer.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn each_rings_at_its_own_time() {
        let timer = OneTimer::default();
        for seconds in [60, 30, 90] {
            let began = timer.now();
            timer.sleep(Duration::from_secs(seconds)).await;
            assert_eq!(timer.now() - began, Duration::from_secs(seconds));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_back_does_not_ring_for_the_next() {
        let timer = OneTimer::default();
        let mut first = timer.sleep(MINUTE);
        assert!(!is_over(&mut first));
        tokio::time::advance(MINUTE / 2).await;
        drop(first);

        let mut second = timer.sleep(MINUTE);
        tokio::time::advance(MINUTE * 3 / 4).await;
        assert!(!is_over(&mut second));
        tokio::time::advance(MINUTE / 4).await;
        assert!(is_over(&mut second));
    }

    #[tokio::test(start_paused = true)]
    async fn two_at_a_time_are_two() {
        let timer = OneTimer::default();
        let began = timer.now();
        tokio::join!(timer.sleep(MINUTE), timer.sleep(MINUTE * 2));
        assert_eq!(timer.now() - began, MINUTE * 2);
    }
}
