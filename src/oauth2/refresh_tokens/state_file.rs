//! The state file of a credential: what outlives the process, encrypted, in `state.dir`.
//!
//! A provider that rotates refresh tokens revokes the old one when it issues the new one, and a client that
//! has lost the new one has lost the grant. Therefore the new one is on disk, flushed, before the access
//! token that came with it is used.
//!
//! A process that makes a token request with a stored refresh token holds the lock file of the credential
//! from before the token is read until its successor is written. A second process (`sidekey login`, `sidekey
//! test`, a replica on the same machine) therefore neither spends the same refresh token nor overwrites a
//! newer one. While the successor cannot be written, the lock stays held: the refresh token in the file is
//! spent, and a second use of it may end the grant. The kernel releases the lock when its process dies.
//!
//! Space for the successor is reserved before a refresh token is spent.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::identity::Identity;
use super::record::StateRecord;
use crate::secret::{
    FileError, SealingKeys, Unreadable, open_private_file, read_private_file, write_new_file,
};

/// Maximum size of a state file, which has two tokens at most.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Space that is reserved for a new record beyond the size of the last one. Tokens of one provider have
/// similar sizes.
const RESERVE_BYTES: usize = 4096;
/// Interval between two attempts to take a lock that another process holds.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum time to wait for a lock: longer than any token request during which it is held.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Why state could not be read or written. The error names the file, never its content.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder cannot be used.
    #[error("state.dir {dir}: {message}")]
    Folder {
        /// The folder, as configured.
        dir: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A file cannot be read, written or locked.
    #[error("cannot {what} the state file {path}: {error}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// The file exists but cannot be read. It is left unchanged.
    #[error("the state file {path} cannot be used: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: Unreadable,
    },
    /// Another process holds the credential's lock for too long.
    #[error(
        "another process has held {path} for more than 30 s, as a Sidekey does that cannot write its newest refresh \
         token; see its log"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

/// The state file of one credential. Its methods block for a few disk accesses.
#[derive(Clone)]
pub struct StateFile {
    path: PathBuf,
    identity: Identity,
    keys: Arc<SealingKeys>,
}

/// The right to read a refresh token in order to spend it, and to write its successor. Released when it is
/// dropped.
pub struct Lock {
    _file: File,
}

/// The version of a file, from its metadata: inode, time of modification, size. It differs after each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileVersion(Option<(u64, SystemTime, u64)>);

impl StateFile {
    /// The state file of one credential in a folder. Nothing is read yet.
    pub(super) fn new(dir: &Path, identity: &Identity, keys: Arc<SealingKeys>) -> Self {
        let path = dir.join(format!("{}.state", identity.file_name()));
        Self { path, identity: identity.clone(), keys }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock of the credential. Waits while another process holds it.
    pub async fn lock(&self) -> Result<Lock, StateError> {
        let path = self.path.with_extension("lock");
        let failed = |error| StateError::Io { what: "lock", path: path.clone(), error };
        let file = open_private_file(&path).map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if waited < LOCK_TIMEOUT => {}
                Err(TryLockError::WouldBlock) => return Err(StateError::Locked { path }),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
            waited += LOCK_RETRY_INTERVAL;
        }
    }

    /// Reads the record that was last saved; `None` if there is none. A refresh token that was read without
    /// the lock must not be spent.
    pub fn load(&self) -> Result<Option<StateRecord>, StateError> {
        let unreadable = |why| StateError::Unreadable { path: self.path.clone(), why };
        let bytes = match read_private_file(&self.path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(FileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(FileError::Io(error)) => return Err(self.failed("read", error)),
            Err(FileError::TooLarge(_)) => return Err(unreadable(Unreadable::Damaged)),
            Err(error) => return Err(self.failed("read", io::Error::other(error))),
        };
        let content = self.keys.open(self.identity.as_bytes(), &bytes);
        let saved = content.and_then(|content| StateRecord::from_json(&content).ok_or(Unreadable::Damaged));
        saved.map(Some).map_err(unreadable)
    }

    /// Writes as much as the next record may need, and flushes it, so that [`StateFile::save`] finds the space.
    pub fn reserve(&self, _lock: &Lock) -> Result<(), StateError> {
        let last = fs::symlink_metadata(&self.path).map_or(0, |file| file.len());
        let size = usize::try_from(last).unwrap_or(MAX_BYTES).min(MAX_BYTES) + RESERVE_BYTES;
        let new = self.new_path();
        let reserved = || {
            remove_if_present(&new)?;
            write_new_file(&new, 0o600, &vec![0; size])
        };
        reserved().map_err(|error| self.failed("write", error))
    }

    /// Gives the reserved space back, if nothing is to be written.
    pub fn release(&self, _lock: &Lock) {
        let _ = remove_if_present(&self.new_path());
    }

    /// Replaces the record atomically, in the reserved space if there is one. It is on disk when this returns.
    /// A file that cannot be read is quarantined first, never overwritten.
    pub fn save(&self, _lock: &Lock, saved: &StateRecord) -> Result<(), StateError> {
        if let Err(StateError::Unreadable { .. }) = self.load() {
            self.quarantine()?;
        }
        let sealed = self.keys.seal(self.identity.as_bytes(), &saved.to_json());
        let new = self.new_path();
        let written = || {
            // What a process that was killed has left there may be overwritten by the holder of the lock.
            write_over(&new, &sealed)?;
            fs::rename(&new, &self.path)?;
            // The name is part of the folder, which has to be flushed as well.
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        written().map_err(|error| self.failed("write", error))
    }

    /// Renames a file that cannot be used, so that it is kept and a new one can be written. Returns the new
    /// path.
    pub fn quarantine(&self) -> Result<PathBuf, StateError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let quarantined = self.path.with_extension(format!("broken-{now}"));
        fs::rename(&self.path, &quarantined).map_err(|error| self.failed("rename", error))?;
        Ok(quarantined)
    }

    /// The current version, to notice that another process has written the file.
    pub fn version(&self) -> FileVersion {
        let metadata = fs::symlink_metadata(&self.path).ok();
        FileVersion(metadata.and_then(|file| Some((file.ino(), file.modified().ok()?, file.len()))))
    }

    /// The path of the file that the next record is written to, before it gets its name.
    fn new_path(&self) -> PathBuf {
        self.path.with_extension("new")
    }

    fn failed(&self, what: &'static str, error: io::Error) -> StateError {
        StateError::Io { what, path: self.path.clone(), error }
    }
}

/// Overwrites a file in place, or writes a new one. It is complete and on disk when this returns.
fn write_over(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = open_private_file(path)?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let written = file.write_all(bytes).and_then(|()| file.set_len(size)).and_then(|()| file.sync_all());
    written.inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
