//! The refresh tokens of one credential, each issued in exchange for the one before. Each may be spent only
//! once, and by one request at a time.
//!
//! They outlive the sources that use them: a new configuration with another client secret continues with the
//! refresh token that the old one was issued. With `state` they outlive the process.
//!
//! Memory and file can differ after a failed write, or after another process has written:
//!
//! After a failed write the lock of the file stays held, if the refresh token in it must not be spent again.
//!
//! | file | last write succeeded | last write failed |
//! |---|---|---|
//! | same serial as last read or written here | file and memory are equal | memory is used, and written later |
//! | another serial: another process wrote it | the file is used | the file is used: it was not locked |
//! | missing | memory is used | memory is used, and written later |
//! | damaged | quarantined, then as if missing | quarantined, then as if missing |
//! | of another key or a newer version | an error | an error |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use super::record::StateRecord;
use super::state_file::{FileVersion, Lock, StateError, StateFile};
use crate::refresh::Risk;

/// How often the file is checked for changes by another process, such as `sidekey login`.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The refresh tokens of one credential.
pub struct RefreshTokens {
    file: Option<StateFile>,
    /// Locked during a token request, so that no refresh token is spent twice.
    state: tokio::sync::Mutex<RefreshTokenState>,
    /// The version of the file when it was last read or written here.
    last_version: Mutex<Option<FileVersion>>,
    /// Whether no token request may start any more.
    is_shut_down: AtomicBool,
    /// Set while the file cannot be written.
    risk: Arc<Risk>,
}

/// The current tokens in memory, compared with the file.
#[derive(Default)]
pub(super) struct RefreshTokenState {
    /// The current tokens.
    pub(super) record: StateRecord,
    /// The serial of the file when it was last read or written.
    pub(super) serial_on_disk: u64,
    /// Whether `record` could not be written, so that it is newer than the file.
    pub(super) is_unwritten: bool,
    /// The serial of the last access token that was handed out.
    pub(super) last_used: Option<u64>,
    /// The lock of the file, while `record` is not written and the refresh token in the file is spent.
    held: Option<Arc<Lock>>,
}

impl RefreshTokenState {
    /// The lock of the file: the one that is held, or taken now.
    pub(super) async fn lock(&self, file: &StateFile) -> Result<Arc<Lock>, StateError> {
        match &self.held {
            Some(held) => Ok(held.clone()),
            None => file.lock().await.map(Arc::new),
        }
    }
}

impl RefreshTokens {
    pub(super) fn new(file: Option<StateFile>) -> Self {
        Self {
            file,
            state: tokio::sync::Mutex::default(),
            last_version: Mutex::default(),
            is_shut_down: AtomicBool::new(false),
            risk: Arc::default(),
        }
    }

    /// What may end the grant: a file that cannot be written.
    pub(super) fn risk(&self) -> &Arc<Risk> {
        &self.risk
    }

    /// The state file, if the configuration has `state`.
    pub(super) fn file(&self) -> Option<&StateFile> {
        self.file.as_ref()
    }

    /// Locks the state for a token request; `None` if no token request may start any more.
    pub(super) async fn lock(&self) -> Option<MutexGuard<'_, RefreshTokenState>> {
        let state = self.state.lock().await;
        (!self.is_shut_down.load(Ordering::Relaxed)).then_some(state)
    }

    /// Prevents further token requests.
    pub(super) fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Relaxed);
    }

    /// Waits until another process has written a new login to the file.
    pub(super) async fn login_changed(&self, file: &StateFile) {
        let mut last = None;
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let version = file.version();
            if *self.last_version.lock() == Some(version) || last.replace(version) == Some(version) {
                continue;
            }
            let known = self.state.lock().await.record.login.clone();
            let Ok(Some(found)) = blocking(file, StateFile::load).await else { continue };
            if found.login.is_some() && found.login != known {
                return;
            }
        }
    }

    /// Updates the state from the file. The caller holds the lock of the file.
    pub(super) async fn reload_from_disk(
        &self,
        file: &StateFile,
        state: &mut RefreshTokenState,
        name: &str,
    ) -> Result<(), StateError> {
        let found = match blocking(file, StateFile::load).await {
            Ok(found) => found,
            Err(StateError::Unreadable { path, why }) if !why.is_recoverable() => {
                let quarantined = blocking(file, StateFile::quarantine).await?;
                tracing::error!(
                    sidekey.service = name,
                    "state file cannot be used: {}: {why}. It was renamed to {}; a new login may be needed",
                    path.display(),
                    quarantined.display()
                );
                None
            }
            Err(error) => return Err(error),
        };
        *self.last_version.lock() = Some(file.version());
        let Some(found) = found else { return Ok(()) };
        // A record that could not be written is newer than the file, unless another process has written
        // since: a login.
        if found.serial != state.serial_on_disk || !state.is_unwritten {
            state.serial_on_disk = found.serial;
            state.record = found;
            state.is_unwritten = false;
            state.held = None;
        }
        Ok(())
    }

    /// Records that the file cannot be locked. Another process that holds the lock is no risk by itself.
    pub(super) fn lock_failed(&self, error: &StateError) {
        if matches!(error, StateError::Io { .. }) {
            self.risk.set(Some(format!(
                "state.dir cannot be used, so that no refresh token may be spent: {error}"
            )));
        }
    }

    /// Reserves space for the next record. The caller holds the lock of the file.
    pub(super) async fn reserve(&self, file: &StateFile, lock: &Arc<Lock>) -> Result<(), StateError> {
        let lock = lock.clone();
        let reserved = blocking(file, move |file| file.reserve(&lock)).await;
        self.risk.set(reserved.as_ref().err().map(|error| {
            format!("state.dir cannot be written, so that no refresh token may be spent: {error}")
        }));
        reserved
    }

    /// Gives the space that was reserved back.
    pub(super) async fn release(&self, file: &StateFile, lock: &Arc<Lock>) {
        let lock = lock.clone();
        let _ = blocking(file, move |file| {
            file.release(&lock);
            Ok(())
        })
        .await;
    }

    /// Writes the state to the file. The caller holds the lock of the file. `keeps_lock`: whether the lock
    /// stays held after a failure, because the refresh token in the file must not be spent again.
    pub(super) async fn write(
        &self,
        file: &StateFile,
        lock: &Arc<Lock>,
        state: &mut RefreshTokenState,
        keeps_lock: bool,
    ) -> Result<(), StateError> {
        let record = state.record.clone();
        state.is_unwritten = true;
        state.held = keeps_lock.then(|| lock.clone());
        let holding = lock.clone();
        let saved = blocking(file, move |file| file.save(&holding, &record)).await;
        self.risk.set(saved.as_ref().err().map(|error| {
            format!("the newest refresh token is in memory only, and is lost if Sidekey ends: {error}")
        }));
        saved?;
        state.held = None;
        state.is_unwritten = false;
        state.serial_on_disk = state.record.serial;
        *self.last_version.lock() = Some(file.version());
        Ok(())
    }

    /// Writes the state again if it could not be written before.
    pub(super) async fn retry_write(&self, name: &str) -> Result<(), StateError> {
        let mut state = self.state.lock().await;
        let Some(file) = &self.file else { return Ok(()) };
        if !state.is_unwritten {
            return Ok(());
        }
        let (lock, keeps_lock) = (state.lock(file).await?, state.held.is_some());
        self.reload_from_disk(file, &mut state, name).await?;
        if state.is_unwritten {
            self.write(file, &lock, &mut state, keeps_lock).await?;
            log_recovered_write(name, file);
        }
        Ok(())
    }
}

/// Logs that a write has succeeded after failures.
pub(super) fn log_recovered_write(name: &str, file: &StateFile) {
    tracing::info!(sidekey.service = name, "state file written: {}", file.path().display());
}

/// Runs a disk access on a thread for blocking calls.
async fn blocking<T: Send + 'static>(
    file: &StateFile,
    work: impl FnOnce(&StateFile) -> Result<T, StateError> + Send + 'static,
) -> Result<T, StateError> {
    let (file, path) = (file.clone(), file.path().to_owned());
    let ended = tokio::task::spawn_blocking(move || work(&file)).await;
    ended.unwrap_or_else(|_| {
        Err(StateError::Io { what: "use", path, error: std::io::Error::other("the disk access panicked") })
    })
}
