//! Writes exchanges down while they happen.
//!
//! Each is written before its caller sees the end of the answer, so what callers know of is in the file, whatever happens
//! next. While calls overlap they are written as they end; at the end of the recording they are put in the order in which
//! they began, so that the same calls make the same file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;

use super::exchange::{Answered, Asked, Exchange};
use super::file;
use super::scrub::Scrubber;

/// The largest recording, in bytes of its text.
pub(super) const RECORDING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A recording that is being made.
pub struct Recorder {
    file: PathBuf,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    out: File,
    /// What was written, by when it began.
    pages: Vec<(u64, String)>,
    bytes: usize,
    /// How many calls have begun.
    begun: u64,
    missed: BTreeMap<Missed, u64>,
    /// Why nothing more can be written.
    trouble: Option<String>,
}

/// Why a call is not in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Missed {
    /// The upstream did not answer, or did not take our credential.
    Unanswered,
    /// The caller went away before the answer's end.
    Left,
    /// The answer came compressed, though nobody had asked for it: its secrets could not be seen.
    Compressed,
    /// The answer is longer than what is kept.
    TooLong,
    /// It is a websocket.
    Websocket,
}

impl Recorder {
    /// Begins a recording in a new file.
    ///
    /// # Errors
    /// Words for whoever started the program, where the file is there already or cannot be made.
    pub fn create(file: &Path) -> Result<Arc<Self>, String> {
        let words = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{} is there already; remove it, or record into another file", file.display())
            }
            _ => format!("cannot make the recording {}: {error}", file.display()),
        };
        let mut out = File::create_new(file).map_err(words)?;
        out.write_all(file::head().as_bytes()).map_err(words)?;
        let (pages, missed) = (Vec::new(), BTreeMap::new());
        let book = Mutex::new(Book { out, pages, bytes: 0, begun: 0, missed, trouble: None });
        Ok(Arc::new(Self { file: file.to_owned(), book }))
    }

    /// A call begins.
    pub(crate) fn note(self: &Arc<Self>, upstream: &str, request: Asked, scrubber: Scrubber) -> Noted {
        let number = {
            let mut book = self.book();
            book.begun += 1;
            book.begun
        };
        let (recorder, upstream) = (Arc::clone(self), upstream.to_owned());
        Noted { recorder, number, upstream, request: Some(request), scrubber, missed: Missed::Unanswered }
    }

    /// A call is not recorded.
    pub(crate) fn miss(&self, why: Missed) {
        *self.book().missed.entry(why).or_default() += 1;
    }

    /// Ends the recording, when no more calls can come, and says what is in it.
    ///
    /// # Errors
    /// Words for whoever started the program, where something that callers were answered could not be written.
    pub fn finish(&self) -> Result<String, String> {
        let mut book = self.book();
        if let Some(trouble) = &book.trouble {
            return Err(format!("the recording {} is not whole: {trouble}", self.file.display()));
        }
        if !book.pages.is_sorted_by_key(|(number, _)| *number) {
            book.pages.sort_by_key(|(number, _)| *number);
            let sorted = self.replace(&book.pages);
            sorted.map_err(|error| format!("cannot put the recording {} in order: {error}", self.file.display()))?;
        }
        let mut said = format!("{} recorded in {}", calls(book.pages.len()), self.file.display());
        for (why, count) in &book.missed {
            said.push_str(&format!("; {count} not: {why}"));
        }
        Ok(said)
    }

    /// Writes beside the file and puts it in its place, so that there is a whole one at any time.
    fn replace(&self, pages: &[(u64, String)]) -> io::Result<()> {
        let mut name = self.file.clone().into_os_string();
        name.push(".new");
        let mut out = File::create(&name)?;
        out.write_all(file::head().as_bytes())?;
        for (_, page) in pages {
            out.write_all(page.as_bytes())?;
        }
        out.sync_all()?;
        std::fs::rename(&name, &self.file)
    }

    fn write(&self, number: u64, exchange: &Exchange) -> io::Result<()> {
        let page = file::print(exchange);
        let mut book = self.book();
        if book.trouble.is_none() && book.bytes + page.len() > RECORDING_BYTES_MAX {
            book.trouble = Some(format!("it has its largest size, {RECORDING_BYTES_MAX} bytes"));
        }
        if book.trouble.is_none()
            && let Err(error) = book.out.write_all(page.as_bytes())
        {
            book.trouble = Some(format!("it cannot be written: {error}"));
        }
        if let Some(trouble) = &book.trouble {
            return Err(io::Error::other(trouble.clone()));
        }
        book.bytes += page.len();
        book.pages.push((number, page));
        Ok(())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("file", &self.file).finish_non_exhaustive()
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unanswered => "the upstream did not answer",
            Self::Left => "the caller left before the answer's end",
            Self::Compressed => "the answer came compressed",
            Self::TooLong => "the answer is too long",
            Self::Websocket => "it is a websocket",
        })
    }
}

/// A call that has begun. Dropped before it was written, it counts as missed.
pub(crate) struct Noted {
    recorder: Arc<Recorder>,
    number: u64,
    upstream: String,
    request: Option<Asked>,
    scrubber: Scrubber,
    missed: Missed,
}

impl Noted {
    /// What it means if this is dropped now.
    pub(crate) fn missed_as(&mut self, why: Missed) {
        self.missed = why;
    }

    /// Writes the call down, with what came of its answer. Secrets are looked for and the file is written on a thread where
    /// that may take its time.
    ///
    /// # Errors
    /// The file cannot be written; the recording fails with it.
    pub(crate) async fn write(
        mut self,
        status: u16,
        headers: HeaderMap,
        pieces: Vec<Vec<u8>>,
        broke_off: bool,
    ) -> io::Result<()> {
        let Some(request) = self.request.take() else { return Ok(()) };
        let writing = tokio::task::spawn_blocking(move || {
            let response = Answered::of(status, &headers, pieces, broke_off, &self.scrubber);
            let upstream = std::mem::take(&mut self.upstream);
            self.recorder.write(self.number, &Exchange { upstream, request, response })
        });
        writing.await.map_err(io::Error::other)?
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if self.request.is_some() {
            self.recorder.miss(self.missed);
        }
    }
}

/// So many calls, in words.
pub(super) fn calls(count: usize) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{count} calls") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::exchange::samples::asked;
    use serde_json::json;

    struct Recording {
        recorder: Arc<Recorder>,
        folder: tempfile::TempDir,
    }

    impl Recording {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { recorder: Recorder::create(&folder.path().join("calls")).unwrap(), folder }
        }

        fn note(&self, path: &str) -> Noted {
            self.recorder.note("google", asked(path, json!({})), Scrubber::default())
        }

        /// The paths of the calls that are in the file.
        fn paths(&self) -> Vec<String> {
            let text = std::fs::read_to_string(self.folder.path().join("calls")).unwrap();
            file::parse(&text).unwrap().0.into_iter().map(|exchange| exchange.request.path).collect()
        }
    }

    async fn written(noted: Noted) {
        noted.write(200, HeaderMap::new(), vec![b"ok".to_vec()], false).await.unwrap();
    }

    #[tokio::test]
    async fn a_call_is_in_the_file_once_it_is_written_and_at_the_end_in_the_order_of_its_beginning() {
        let recording = Recording::new();
        let (first, second) = (recording.note("GET /1"), recording.note("GET /2"));

        written(second).await;
        assert_eq!(recording.paths(), ["/2"]);
        written(first).await;
        assert_eq!(recording.paths(), ["/2", "/1"]);

        assert!(recording.recorder.finish().unwrap().starts_with("2 calls recorded in "));
        assert_eq!(recording.paths(), ["/1", "/2"]);
        assert_eq!(std::fs::read_dir(recording.folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_call_without_an_end_is_missed_and_counted() {
        let recording = Recording::new();
        drop(recording.note("GET /1"));
        let mut left = recording.note("GET /2");
        left.missed_as(Missed::Left);
        drop(left);

        let said = recording.recorder.finish().unwrap();

        assert_eq!(recording.paths(), [""; 0]);
        let expected = "; 1 not: the upstream did not answer; 1 not: the caller left before the answer's end";
        assert!(said.starts_with("0 calls recorded in ") && said.ends_with(expected), "{said}");
    }

    #[test]
    fn a_recording_that_is_there_is_not_written_over() {
        let recording = Recording::new();
        let again = Recorder::create(&recording.folder.path().join("calls")).unwrap_err();
        assert!(again.contains("is there already"), "{again}");
    }
}
