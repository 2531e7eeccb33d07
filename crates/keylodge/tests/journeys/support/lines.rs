//! What a program prints, line by line, and waiting for a line instead of for a while.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::WAIT_MAX;

/// The lines of a pipe, gathered by a thread until the pipe is closed. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<(Mutex<Gathered>, Condvar)>);

#[derive(Debug, Default)]
struct Gathered {
    lines: Vec<String>,
    closed: bool,
}

impl Lines {
    pub(crate) fn gather(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let gatherer = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(line) = line else { break };
                gatherer.change(|all| all.lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
            gatherer.change(|all| all.closed = true);
        });
        lines
    }

    /// Waits for the first line of which `find` makes something.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.find(find);
        found.unwrap_or_else(|| panic!("{what} was not printed, but this:\n{}", self.so_far()))
    }

    /// The same where it may not come: `None` once the pipe is closed.
    pub(crate) fn find<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = |all: &Gathered| all.lines.iter().find_map(|line| find(line));
        found(&self.wait_until(|all| all.closed || found(all).is_some()))
    }

    /// Waits until the pipe is closed: for a program's stdout, until it has ended.
    #[track_caller]
    pub(crate) fn wait_for_the_end(&self) -> String {
        let all = self.wait_until(|all| all.closed);
        assert!(all.closed, "the program did not end; it printed:\n{}", all.lines.join("\n"));
        all.lines.join("\n")
    }

    /// Everything so far.
    pub(crate) fn so_far(&self) -> String {
        self.wait_until(|_| true).lines.join("\n")
    }

    fn wait_until(&self, ready: impl Fn(&Gathered) -> bool) -> std::sync::MutexGuard<'_, Gathered> {
        let (all, changed) = &*self.0;
        let all = all.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(all, WAIT_MAX, |all| !ready(all));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn change(&self, change: impl FnOnce(&mut Gathered)) {
        let (all, changed) = &*self.0;
        change(&mut all.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }
}
