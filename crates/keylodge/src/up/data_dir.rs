//! The data folder: database, master key, owner's token, and a lock so that only one server works on them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use keylodge_gate::{Entropy, source};
use keylodge_rules::OperatorToken;
use keylodge_store::MasterKey;

/// An open data folder. The lock is held as long as this lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Opens the folder, making it for the owner's eyes only if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| format!("cannot make the data folder {shown}: {error}"))?;
        let lock = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock);
        let lock = lock.map_err(|error| format!("cannot write to the data folder {shown}: {error}"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(format!(
                "another Keylodge is using the data folder {shown}; stop it, or choose another with --data-dir"
            )),
            Err(TryLockError::Error(error)) => Err(format!("cannot lock the data folder {shown}: {error}")),
        }
    }

    /// The database file.
    pub(crate) fn database_file(&self) -> PathBuf {
        self.path.join("keylodge.db")
    }

    /// Makes a database file for the owner's eyes only; SQLite gives the files beside it the same mode.
    pub(crate) fn make_file(&self, name: &str) -> Result<PathBuf, String> {
        let file = self.path.join(name);
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(&file);
        made.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        Ok(file)
    }

    /// A file of the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a secret into a file of the folder, for the owner's eyes only.
    pub(crate) fn write_secret(&self, file: &Path, secret: &str) -> Result<(), String> {
        write_secret(file, secret.trim_end())
    }

    /// The file with the owner's token.
    pub(crate) fn owner_token_file(&self) -> PathBuf {
        self.path.join("owner-token")
    }

    /// The master key from its file, made on a first start. A database without its master key is not opened with a new
    /// one: every key in it would read as unknown.
    pub(crate) fn master_key(&self, entropy: &Entropy) -> Result<MasterKey, String> {
        let file = self.path.join("master-key");
        let shown = file.display();
        match fs::read_to_string(&file) {
            Ok(text) => {
                warn_if_readable_by_others(&file);
                MasterKey::parse(&text).map_err(|error| format!("the master key in {shown} is damaged: {error}"))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if self.database_file().exists() {
                    return Err(format!(
                        "there is a database but no master key in {shown}; put the file back, or give KEYLODGE_MASTER_KEY"
                    ));
                }
                let master = MasterKey::new(source::random(entropy));
                write_secret(&file, &master.reveal())?;
                Ok(master)
            }
            Err(error) => Err(format!("cannot read the master key from {shown}: {error}")),
        }
    }

    /// Writes the owner's token.
    pub(crate) fn write_owner_token(&self, token: &OperatorToken) -> Result<(), String> {
        write_secret(&self.owner_token_file(), token.reveal())
    }
}

/// Writes a secret whole or not at all, for the owner's eyes only, and sees it on disk before it returns.
fn write_secret(file: &Path, secret: &str) -> Result<(), String> {
    let new = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        out.write_all(secret.as_bytes())?;
        out.write_all(b"\n")?;
        out.sync_all()?;
        fs::rename(&new, file)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn warn_if_readable_by_others(file: &Path) {
    let mode = fs::metadata(file).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        tracing::warn!(file = %file.display(), "the master key can be read by others; run: chmod 600 on it");
    }
}
