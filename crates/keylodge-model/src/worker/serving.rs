//! The two threads of a worker: one hears, one works.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;

use super::WorkerOptions;
use crate::llama::{self, Stopped};
use crate::protocol::worker_end::{read, write};
use crate::protocol::{FrameError, FromWorker, ToWorker};

/// Requests that may wait for the end of a round.
const REQUESTS_MAX: usize = 64;
/// Parsers in C++ are recursive; this is only address space until it is used.
const STACK_BYTES: usize = 256 << 20;

/// Reads here, and lets the model work on a thread of its own.
pub(super) fn serve(mut socket: UnixStream, options: WorkerOptions) -> Result<(), String> {
    let (requests, inbox) = sync_channel(REQUESTS_MAX);
    let result = Arc::new(OnceLock::new());

    let models_result = Arc::clone(&result);
    let models_socket = socket.try_clone().map_err(|error| error.to_string())?;
    let model = move || {
        // Nobody else sets it.
        let _ = models_result.set(run_model(&options, &inbox, &models_socket));
        // Wakes the reader, which is waiting for requests. The socket may be closed already.
        let _ = models_socket.shutdown(Shutdown::Both);
    };
    let started = thread::Builder::new().name("model".to_owned()).stack_size(STACK_BYTES).spawn(model);
    started.map_err(|error| format!("the model's thread did not start: {error}"))?;

    let heard = loop {
        match read(&mut socket) {
            Ok(Some(request)) => match requests.send(request) {
                Ok(()) => {}
                Err(_) => break Ok(()),
            },
            // A parent that went away with something unread resets the socket.
            Ok(None) | Err(FrameError::Io(_)) => break Ok(()),
            Err(error) => break Err(format!("the supervisor talked nonsense: {error}")),
        }
    };
    // The model's own end comes first; it is also why the socket closed.
    result.get().cloned().unwrap_or(heard)
}

fn run_model(options: &WorkerOptions, inbox: &Receiver<ToWorker>, mut socket: &UnixStream) -> Result<(), String> {
    let mut beating = socket.try_clone().map_err(|error| error.to_string())?;
    // That the supervisor has gone is noticed where the model is served.
    let beat = move || drop(write(&mut beating, &FromWorker::Beat));
    let mut send = |frame: FromWorker| write(&mut socket, &frame);

    match llama::serve(options, inbox, &mut send, beat) {
        Ok(()) | Err(Stopped::Over) => Ok(()),
        Err(Stopped::Broken(reason)) => Err(reason),
        Err(Stopped::Fatal(reason)) => {
            send(FromWorker::Fatal { reason: reason.clone() }).map_err(|error| error.to_string())?;
            Err(reason)
        }
    }
}
