//! The refresh tokens of one credential, each issued in exchange for the one before. Each may be spent only
//! once, and by one request at a time.
//!
//! They outlive the sources that use them: a new configuration with another client secret continues with the
//! refresh token that the old one was issued. With `state` they outlive the process.
//!
//! Memory and file can differ after a failed write, or after another process has written:
//!
//! | file | last write succeeded | last write failed |
//! |---|---|---|
//! | same serial as last read or written here | file and memory are equal | memory is used, and written later |
//! | another serial: another process wrote it | the file is used | the file is used: it is a new login |
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
}

impl RefreshTokens {
    pub(super) fn new(file: Option<StateFile>) -> Self {
        Self {
            file,
            state: tokio::sync::Mutex::default(),
            last_version: Mutex::default(),
            is_shut_down: AtomicBool::new(false),
        }
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
        }
        Ok(())
    }

    /// Writes the state to the file. The caller holds the lock of the file.
    pub(super) async fn write(
        &self,
        file: &StateFile,
        lock: &Arc<Lock>,
        state: &mut RefreshTokenState,
    ) -> Result<(), StateError> {
        let (record, lock) = (state.record.clone(), lock.clone());
        state.is_unwritten = true;
        blocking(file, move |file| file.save(&lock, &record)).await?;
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
        let lock = Arc::new(file.lock().await?);
        self.reload_from_disk(file, &mut state, name).await?;
        if state.is_unwritten {
            self.write(file, &lock, &mut state).await?;
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
