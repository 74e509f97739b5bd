//! What outlives the process: one encrypted file for each credential, under `state.dir`.
//!
//! A provider that rotates refresh tokens takes the old one back when it issues the new one, and a client that lost the new
//! one has lost the grant. So the new one is on disk, flushed, before the access token that came with it is used.
//!
//! One writer: whoever makes a token request with a stored refresh token holds the credential's lock file from before it is
//! read until what replaces it is written, so that a second process (`sidekey login`, `sidekey test`, a replica on the same
//! machine) neither spends the same refresh token nor overwrites the newer one. The kernel gives the lock back when its
//! process dies.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::identity::Identity;
use super::record::StateRecord;
use super::seal::{Keys, Unreadable};

/// No state file is larger: it holds two tokens.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How often a lock is tried that another process holds.
const LOCK_STEP: Duration = Duration::from_millis(50);
/// How long at most: longer than any token request that it is held for.
const LOCK_LIMIT: Duration = Duration::from_secs(30);

/// Why state could not be read or written. Names the file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder cannot be used.
    #[error("state.dir {dir}: {message}")]
    Folder {
        /// As configured.
        dir: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A file cannot be read, written or locked.
    #[error("cannot {what} the state file {path}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is there and cannot be made sense of. It is left as it is.
    #[error("the state file {path} cannot be used: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: Unreadable,
    },
    /// Another process holds the credential's lock for too long.
    #[error("another process has held {path} for more than 30 s")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

/// One credential's state. Its methods block for a disk access or two.
#[derive(Clone)]
pub struct StateFile {
    path: PathBuf,
    identity: Identity,
    keys: Arc<Keys>,
}

/// The right to read a refresh token in order to spend it, and to write. Given back when it is dropped.
pub struct Lock {
    _file: File,
}

/// What a file looks like from outside; differs after every write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileVersion(Option<(u64, SystemTime, u64)>);

impl StateFile {
    /// The state file of one credential in a folder. Nothing is read yet.
    pub(super) fn new(dir: &Path, identity: &Identity, keys: Arc<Keys>) -> Self {
        let path = dir.join(format!("{}.state", identity.file_name()));
        Self { path, identity: identity.clone(), keys }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until no other process holds this credential's lock.
    pub async fn lock(&self) -> Result<Lock, StateError> {
        let path = self.path.with_extension("lock");
        let failed = |error| StateError::Io { what: "lock", path: path.clone(), error };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if waited < LOCK_LIMIT => {}
                Err(TryLockError::WouldBlock) => return Err(StateError::Locked { path }),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            tokio::time::sleep(LOCK_STEP).await;
            waited += LOCK_STEP;
        }
    }

    /// What was last saved; `None` where nothing was. Without the lock it is for looking at only: a refresh token must not
    /// be spent on it.
    pub fn load(&self) -> Result<Option<StateRecord>, StateError> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", error)),
        }
        let content = self.keys.open(self.identity.as_bytes(), &bytes);
        let saved = content.and_then(|content| StateRecord::from_json(&content).ok_or(Unreadable::Damaged));
        saved.map(Some).map_err(|why| StateError::Unreadable { path: self.path.clone(), why })
    }

    /// Replaces what was saved: all of it or nothing, on disk when this returns. A file that cannot be read is set aside
    /// first, never overwritten.
    pub fn save(&self, _lock: &Lock, saved: &StateRecord) -> Result<(), StateError> {
        if let Err(StateError::Unreadable { .. }) = self.load() {
            self.quarantine()?;
        }
        let sealed = self.keys.seal(self.identity.as_bytes(), &saved.to_json());
        let new = self.path.with_extension("new");
        let written = || {
            // Left behind by a process that was killed; whoever holds the lock may take it away.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            write_new(&new, &sealed)?;
            fs::rename(&new, &self.path)?;
            // The name is part of the folder.
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        written().map_err(|error| self.failed("write", error))
    }

    /// Renames a file that cannot be used, so that it is neither lost nor in the way; returns its new name.
    pub fn quarantine(&self) -> Result<PathBuf, StateError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let aside = self.path.with_extension(format!("broken-{now}"));
        fs::rename(&self.path, &aside).map_err(|error| self.failed("set aside", error))?;
        Ok(aside)
    }

    /// What it looks like now, to notice that another process has written it.
    pub fn version(&self) -> FileVersion {
        let metadata = fs::metadata(&self.path).ok();
        FileVersion(metadata.and_then(|file| Some((file.ino(), file.modified().ok()?, file.len()))))
    }

    fn failed(&self, what: &'static str, error: io::Error) -> StateError {
        StateError::Io { what, path: self.path.clone(), error }
    }
}

/// A new file, whole and on disk when this returns, for nobody else to read.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests;
