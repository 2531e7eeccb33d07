//! One worker process, from its start to its end.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Options;
use super::desk::Desk;
use super::phase::Phase;
use super::words::LastWords;
use crate::protocol::parent_end::FrameReader;
use crate::protocol::{FrameError, FromWorker};

/// How long a worker whose socket is closed may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// How the life of a worker ended.
pub(super) enum End {
    /// It was asked for.
    Stopped,
    /// The worker says that another would fare no better.
    Fatal(String),
    /// It died, hung or talked nonsense.
    Lost(String),
}

/// How a worker is to be treated at its end.
enum Parting {
    /// It knows, or is to find out from its closed socket.
    Polite(End),
    /// It cannot be trusted to end.
    Kill(End),
}

/// Starts a worker, serves the desk with it, and returns when it is over and the process is gone.
pub(super) async fn live(desk: &Desk, options: &Options, model: &Path, stop: &mut watch::Receiver<bool>) -> End {
    let (mut child, socket) = match spawn(options, model) {
        Ok(started) => started,
        Err(error) => return not_started(options, &error),
    };
    desk.note_start();
    let (reader, writer) = socket.into_split();
    let mut words = LastWords::new(child.stderr.take());

    let parting = tokio::select! {
        parting = listen(desk, FrameReader::new(reader)) => parting,
        never = tell(desk, writer) => match never {},
        silence = hung(desk, options.stall) => silence,
        never = words.forward() => match never {},
        () = stopped(stop) => Parting::Polite(End::Stopped),
    };

    // Callers are told before the process is waited for.
    desk.enter(Phase::Down { reason: "the worker was lost".to_owned(), retry: Duration::ZERO });
    let (mut end, status) = match parting {
        Parting::Polite(end) => (end, part(&mut child, &mut words).await),
        Parting::Kill(end) => (end, kill(&mut child).await),
    };
    if let (End::Lost(reason), Some(status)) = (&mut end, status) {
        *reason = words.epitaph(&format!("{reason} ({status})"));
    }
    end
}

fn spawn(options: &Options, model: &Path) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let threads = options.threads.unwrap_or_else(|| available_parallelism().map_or(1, |cores| cores.get() - 1)).max(1);

    // The command holds the worker's end of the socket: it must be gone before we wait for that end to close.
    let child = Command::new(&options.worker.program)
        .args(&options.worker.args)
        .args(["--task", options.task.as_str()])
        .arg("--model")
        .arg(model)
        .args(["--slots", &options.slots.to_string()])
        .args(["--window", &options.window_tokens.to_string()])
        .args(["--threads", &threads.to_string()])
        .env_clear()
        // After an abort ggml would start a debugger to print a backtrace, which would keep the socket open.
        .env("GGML_NO_BACKTRACE", "1")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A Ctrl-C in the terminal is for the parent, which then ends the worker in good order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, UnixStream::from_std(ours)?))
}

fn not_started(options: &Options, error: &io::Error) -> End {
    let reason = format!("the worker {} could not be started: {error}", options.worker.program.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => End::Fatal(reason),
        _ => End::Lost(reason),
    }
}

/// Reads what the worker says until it says something final.
async fn listen(desk: &Desk, mut frames: FrameReader<OwnedReadHalf>) -> Parting {
    loop {
        match frames.read().await {
            Ok(Some(FromWorker::Fatal { reason })) => return Parting::Polite(End::Fatal(reason)),
            Ok(Some(frame)) => {
                if let Err(nonsense) = desk.receive(frame) {
                    return Parting::Kill(End::Lost(format!("the worker talked nonsense: {}", nonsense.0)));
                }
            }
            // A worker that died with something unread resets the socket.
            Ok(None) | Err(FrameError::Io(_)) => return Parting::Polite(End::Lost("the worker ended".to_owned())),
            Err(error) => return Parting::Kill(End::Lost(format!("the worker talked nonsense: {error}"))),
        }
    }
}

/// Writes what the desk has for the worker. That it no longer reads is not its end: it may have said more before.
async fn tell(desk: &Desk, mut writer: OwnedWriteHalf) -> Infallible {
    loop {
        let frame = desk.next_outgoing().await;
        if writer.write_all(&frame).await.is_err() {
            return pending().await;
        }
    }
}

/// Returns when the worker has work and has been silent for too long.
async fn hung(desk: &Desk, stall: Duration) -> Parting {
    loop {
        let silence = desk.silence().unwrap_or_default();
        if silence >= stall {
            let at = if desk.note_stall() { " of following a schema, which is refused from now on" } else { "" };
            let reason = format!("the worker hung: it had work and said nothing for {stall:?}{at}");
            return Parting::Kill(End::Lost(reason));
        }
        // Work that comes to an idle worker meanwhile is not overdue before this look.
        sleep(stall - silence).await;
    }
}

/// Waits for a worker that should end by itself, hears its last words, and kills it when it takes too long.
async fn part(child: &mut Child, words: &mut LastWords) -> Option<ExitStatus> {
    let ended = timeout(GRACE, async { tokio::join!(child.wait(), words.hear_out()).0 }).await;
    match ended {
        Ok(status) => status.ok(),
        Err(_) => kill(child).await,
    }
}

async fn kill(child: &mut Child) -> Option<ExitStatus> {
    if let Err(error) = child.start_kill() {
        tracing::debug!(%error, "the model's worker was gone before it was killed");
    }
    child.wait().await.ok()
}

/// Returns when the handle asks for the end, or when there is no handle any more.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which asks for the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
