//! Files that commands read and write, secrets among them. A secret is never an argument: everybody on the machine can
//! read those.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::session::Failed;
use crate::output;

/// The most that is read of a file.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A file that was not there before and that only its owner reads. It goes away again unless it is finished.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: BufWriter<File>,
    path: PathBuf,
    is_finished: bool,
}

impl NewFile {
    /// Makes the file; before whatever it is for, so that nothing is made that could not be kept.
    pub(crate) fn create(path: &Path) -> Result<Self, Failed> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failed(format!("{} is there already; it is left as it is", path.display())),
            _ => Failed(format!("cannot make {}: {error}", path.display())),
        })?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned(), is_finished: false })
    }

    /// Writes one more line.
    pub(crate) fn line(&mut self, text: &[u8]) -> Result<(), Failed> {
        let written = self.file.write_all(text).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|error| self.failed(&error))
    }

    /// Keeps the file: from now on it is whole.
    pub(crate) fn finish(mut self) -> Result<(), Failed> {
        let kept = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        kept.map_err(|error| self.failed(&error))?;
        self.is_finished = true;
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Failed {
        Failed(format!("cannot write {}: {error}", self.path.display()))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // It was made by us a moment ago; half of something is worth nothing.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The text of a file, or of stdin for `-`.
pub(crate) fn read(path: &Path) -> Result<String, Failed> {
    let failed = |error: io::Error| Failed(format!("cannot read {}: {error}", name(path)));
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        File::open(path).map_err(failed)?.take(BYTES_MAX + 1).read_to_string(&mut text)
    };
    if read.map_err(failed)? as u64 > BYTES_MAX {
        return Err(Failed(format!("{} has more than 64 MiB; split it", name(path))));
    }
    Ok(text)
}

/// A secret from the first line of a file, or of stdin for `-`.
pub(crate) fn read_secret(path: &Path, what: &str) -> Result<String, Failed> {
    if path == Path::new("-") && io::stdin().is_terminal() {
        output::talk(&format!("{what}: "));
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        read.map_err(|error| Failed(format!("cannot read the {what}: {error}")))?;
        return one_line(&line, path, what);
    }
    one_line(&read(path)?, path, what)
}

fn one_line(text: &str, path: &Path, what: &str) -> Result<String, Failed> {
    match text.trim() {
        "" => Err(Failed(format!("there is no {what} in {}", name(path)))),
        secret if secret.contains('\n') => {
            Err(Failed(format!("{} has more than one line; a {what} is one", name(path))))
        }
        secret => Ok(secret.to_owned()),
    }
}

fn name(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}
