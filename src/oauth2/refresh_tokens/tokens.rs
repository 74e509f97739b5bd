//! The refresh tokens of one credential, each issued in exchange for the one before: what may be spent only once, and by one
//! at a time.
//!
//! A chain outlives the sources that use it: a new configuration with another client secret goes on with the refresh token
//! that the old one was given. With `state` it outlives the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use super::record::StateRecord;
use super::state_file::{FileVersion, Lock, StateError, StateFile};

/// How often the file is looked at for what another process wrote, such as `sidekey login`.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The refresh tokens of one credential.
pub struct RefreshTokens {
    file: Option<StateFile>,
    /// Held for as long as a token request takes: nobody spends the same refresh token.
    state: tokio::sync::Mutex<RefreshTokenState>,
    /// The file as it was when it was last read or written here.
    last_version: Mutex<Option<FileVersion>>,
    /// No token request begins any more.
    is_shut_down: AtomicBool,
}

/// Where the chain has come to.
#[derive(Default)]
pub(super) struct RefreshTokenState {
    pub(super) saved: StateRecord,
    /// The serial that the file had when it was last read or written.
    pub(super) on_disk: u64,
    /// `saved` could not be written: it is newer than the file.
    pub(super) is_unwritten: bool,
    /// The serial of the last access token that was handed out.
    pub(super) used: Option<u64>,
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

    /// The state, for as long as a token request takes; `None` if no token request may begin any more.
    pub(super) async fn lock(&self) -> Option<MutexGuard<'_, RefreshTokenState>> {
        let state = self.state.lock().await;
        (!self.is_shut_down.load(Ordering::Relaxed)).then_some(state)
    }

    /// From now on no token request begins.
    pub(super) fn shut_down(&self) {
        self.is_shut_down.store(true, Ordering::Relaxed);
    }

    /// Waits until another process has left a new login in the file.
    pub(super) async fn login_changed(&self, file: &StateFile) {
        let mut last = None;
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let version = file.version();
            if *self.last_version.lock() == Some(version) || last.replace(version) == Some(version) {
                continue;
            }
            let known = self.state.lock().await.saved.login.clone();
            let Ok(Some(found)) = blocking(file, StateFile::load).await else { continue };
            if found.login.is_some() && found.login != known {
                return;
            }
        }
    }

    /// Brings the link up to date with the file, under its lock.
    pub(super) async fn reload_from_disk(
        &self,
        file: &StateFile,
        state: &mut RefreshTokenState,
        name: &str,
    ) -> Result<(), StateError> {
        let found = match blocking(file, StateFile::load).await {
            Ok(found) => found,
            Err(StateError::Unreadable { path, why }) if !why.is_recoverable() => {
                let aside = blocking(file, StateFile::quarantine).await?;
                tracing::error!(
                    sidekey.service = name,
                    "state file cannot be used: {}: {why}. It was renamed to {}; a new login may be needed",
                    path.display(),
                    aside.display()
                );
                None
            }
            Err(error) => return Err(error),
        };
        *self.last_version.lock() = Some(file.version());
        let Some(found) = found else { return Ok(()) };
        // What could not be written is newer, unless somebody else wrote meanwhile: that was a login.
        if found.serial != state.on_disk || !state.is_unwritten {
            state.on_disk = found.serial;
            state.saved = found;
            state.is_unwritten = false;
        }
        Ok(())
    }

    pub(super) async fn write(
        &self,
        file: &StateFile,
        lock: &Arc<Lock>,
        state: &mut RefreshTokenState,
    ) -> Result<(), StateError> {
        let (saved, lock) = (state.saved.clone(), lock.clone());
        state.is_unwritten = true;
        blocking(file, move |file| file.save(&lock, &saved)).await?;
        state.is_unwritten = false;
        state.on_disk = state.saved.serial;
        *self.last_version.lock() = Some(file.version());
        Ok(())
    }

    /// Tries once more to write what could not be written; returns whether nothing is left to write.
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

pub(super) fn log_recovered_write(name: &str, file: &StateFile) {
    tracing::info!(sidekey.service = name, "state file written: {}", file.path().display());
}

/// A disk access, off the thread that everything else waits on.
async fn blocking<T: Send + 'static>(
    file: &StateFile,
    work: impl FnOnce(&StateFile) -> Result<T, StateError> + Send + 'static,
) -> Result<T, StateError> {
    let (file, path) = (file.clone(), file.path().to_owned());
    let ended = tokio::task::spawn_blocking(move || work(&file)).await;
    ended.unwrap_or_else(|_| {
        Err(StateError::Io { what: "use", path, error: std::io::Error::other("Sidekey itself failed") })
    })
}
