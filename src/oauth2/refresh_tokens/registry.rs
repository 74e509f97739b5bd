//! The refresh tokens of one credential, each issued in exchange for the one before: what may be spent only once, and by one
//! at a time.
//!
//! A chain outlives the sources that use it: a new configuration with another client secret goes on with the refresh token
//! that the old one was given. With `state` it outlives the process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::files::{
    AccessTokenRecord, FileVersion, Identity, Lock, StateDir, StateError, StateFile, StateRecord,
};
use crate::config::OAuth2;
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::{SourceError, SourceErrorKind, TokenResponse, TokenSource};
use crate::secret::Secret;

/// How often what could not be written is tried again.
const WRITE_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How often the file is looked at for what another process wrote, such as `sidekey login`.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The chains of all credentials, in memory and, with `state`, on disk.
#[derive(Default)]
pub struct RefreshTokenRegistry {
    dir: Option<StateDir>,
    entries: Mutex<HashMap<Identity, Arc<RefreshTokens>>>,
}

impl RefreshTokenRegistry {
    /// No chain yet; with a folder they are kept there.
    pub fn new(dir: Option<StateDir>) -> Self {
        Self { dir, entries: Mutex::default() }
    }

    /// The chain of a credential: always the same one, so that two configurations of it do not spend a refresh token twice.
    pub fn of(&self, config: &OAuth2) -> Arc<RefreshTokens> {
        let identity = Identity::of(config);
        let file = || self.dir.as_ref().map(|dir| dir.file(&identity));
        let mut entries = self.entries.lock();
        entries.entry(identity.clone()).or_insert_with(|| Arc::new(RefreshTokens::new(file()))).clone()
    }

    /// Wraps a source so that it goes on with the refresh token of its chain, and leaves there what it is issued.
    /// `name` says in the log whose it is.
    pub fn wrap<S: TokenSource>(
        &self,
        name: String,
        config: &OAuth2,
        inner: S,
        users: SharedTokenMetrics,
    ) -> PersistedSource<S> {
        let keeping = self.dir.as_ref().filter(|dir| dir.keeps_access_tokens());
        let request = keeping.map(|dir| dir.fingerprint(config));
        let requires_refresh_token = config.grant.keeps_refresh_token();
        PersistedSource {
            inner,
            refresh_tokens: self.of(config),
            name,
            requires_refresh_token,
            request,
            users,
        }
    }

    /// Ends all chains, before the process does: no token request begins any more, one that is under way is waited for until
    /// its answer is written (it has a time limit of its own), and what could not be written is tried once more.
    pub async fn shut_down(&self) {
        let entries: Vec<_> = self.entries.lock().values().cloned().collect();
        for refresh_tokens in &entries {
            refresh_tokens.is_shut_down.store(true, Ordering::Relaxed);
        }
        for refresh_tokens in entries {
            if let Err(error) = refresh_tokens.retry_write("").await {
                tracing::error!("{error}. Its refresh token is lost: a login may have to be done again");
            }
        }
    }
}

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
struct RefreshTokenState {
    saved: StateRecord,
    /// The serial that the file had when it was last read or written.
    on_disk: u64,
    /// `saved` could not be written: it is newer than the file.
    is_unwritten: bool,
    /// The serial of the last access token that was handed out.
    used: Option<u64>,
}

impl RefreshTokens {
    fn new(file: Option<StateFile>) -> Self {
        Self {
            file,
            state: tokio::sync::Mutex::default(),
            last_version: Mutex::default(),
            is_shut_down: AtomicBool::new(false),
        }
    }

    /// Waits until another process has left a new login in the file.
    async fn login_changed(&self, file: &StateFile) {
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
    async fn reload_from_disk(
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
                    service.name = name,
                    "the state file {} cannot be used: {why}. It is now {}; without it a login may have to be done again",
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

    async fn write(
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
    async fn retry_write(&self, name: &str) -> Result<(), StateError> {
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

/// A source that goes on with the refresh token of its chain.
pub struct PersistedSource<S> {
    inner: S,
    refresh_tokens: Arc<RefreshTokens>,
    name: String,
    /// Whether the grant cannot do without what is in the chain.
    requires_refresh_token: bool,
    /// Fingerprint of all that shapes the request, where access tokens are kept.
    request: Option<String>,
    users: SharedTokenMetrics,
}

impl<S: TokenSource> PersistedSource<S> {
    /// The chain.
    pub fn refresh_tokens(&self) -> &Arc<RefreshTokens> {
        &self.refresh_tokens
    }

    /// The access token on disk, if it is worth using: the same request would be made for it, it has most of its life
    /// before it, and it is none that was used here and is now to be replaced.
    fn usable_access_token(&self, state: &RefreshTokenState) -> Option<TokenResponse> {
        let token = state.saved.access_token.as_ref()?;
        if self.request.as_ref() != Some(&token.request) || state.used == Some(state.saved.serial) {
            return None;
        }
        let issued = token.issued();
        (issued.expiry.remaining() > token.lifetime / 4).then_some(issued)
    }

    /// Says loudly that a write failed, and has it tried again until it succeeds.
    fn retry_write_in_background(&self, error: &StateError) {
        tracing::error!(
            service.name = self.name,
            "{error}. What the token endpoint issued is used all the same and writing it is tried again; \
             if Sidekey ends before that, its refresh token is lost and a login may have to be done again"
        );
        let (refresh_tokens, name) = (self.refresh_tokens.clone(), self.name.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WRITE_RETRY_INTERVAL).await;
                match refresh_tokens.retry_write(&name).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(service.name = name, "{error}"),
                }
            }
        });
    }

    async fn fetch_with_file(
        &self,
        file: &StateFile,
        state: &mut RefreshTokenState,
    ) -> Result<TokenResponse, SourceError> {
        // Without its refresh token it could only spend an older one, and have the whole grant taken back.
        let lock = match file.lock().await {
            Ok(lock) => Some(Arc::new(lock)),
            Err(error) if self.requires_refresh_token => return Err(local(&error)),
            Err(error) => {
                tracing::warn!(service.name = self.name, "{error}; the token is not kept");
                None
            }
        };
        match self.refresh_tokens.reload_from_disk(file, state, &self.name).await {
            Err(error) if self.requires_refresh_token => return Err(local(&error)),
            Err(error) => {
                tracing::warn!(
                    service.name = self.name,
                    "{error}; a new token is asked for, and the file set aside when it is kept"
                );
            }
            Ok(()) => {}
        }
        if let Some(kept) = self.usable_access_token(state) {
            state.used = Some(state.saved.serial);
            return Ok(kept);
        }
        let refresh_token = state.saved.refresh_token.clone();
        let issued = self.inner.fetch(refresh_token.as_ref()).await?;
        let access_token = self.request.as_ref().map(|request| AccessTokenRecord::of(&issued, request));
        if access_token.is_none() && issued.refresh_token == refresh_token {
            return Ok(issued);
        }
        state.saved.refresh_token.clone_from(&issued.refresh_token);
        state.saved.access_token = access_token;
        state.saved.serial = state.saved.serial.max(state.on_disk).wrapping_add(1);
        state.used = Some(state.saved.serial);
        let Some(lock) = lock else { return Ok(issued) };
        // Before the access token is used: whatever happens next, what replaces the spent refresh token is on disk.
        let was_written = !state.is_unwritten;
        let written = self.refresh_tokens.write(file, &lock, state).await;
        self.users.state_written(written.is_ok());
        match written {
            Err(error) if was_written => self.retry_write_in_background(&error),
            Ok(()) if !was_written => log_recovered_write(&self.name, file),
            _ => {}
        }
        Ok(issued)
    }
}

#[async_trait]
impl<S: TokenSource> TokenSource for PersistedSource<S> {
    async fn changed(&self) {
        match &self.refresh_tokens.file {
            Some(file) if self.requires_refresh_token => {
                self.refresh_tokens.login_changed(file).await;
                tracing::info!(
                    service.name = self.name,
                    "a new login was found in state.dir: a token is asked for with it"
                );
            }
            _ => self.inner.changed().await,
        }
    }

    async fn fetch(&self, _refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let mut state = self.refresh_tokens.state.lock().await;
        if self.refresh_tokens.is_shut_down.load(Ordering::Relaxed) {
            return Err(SourceError::new(SourceErrorKind::Local, "Sidekey is ending"));
        }
        match &self.refresh_tokens.file {
            Some(file) if self.requires_refresh_token || self.request.is_some() => {
                self.fetch_with_file(file, &mut state).await
            }
            _ => {
                let refresh_token = state.saved.refresh_token.clone();
                let issued = self.inner.fetch(refresh_token.as_ref()).await?;
                state.saved.refresh_token.clone_from(&issued.refresh_token);
                Ok(issued)
            }
        }
    }
}

fn log_recovered_write(name: &str, file: &StateFile) {
    tracing::info!(service.name = name, "what was issued is written to {} at last", file.path().display());
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

fn local(error: &StateError) -> SourceError {
    SourceError::new(SourceErrorKind::Local, error.to_string())
}

#[cfg(test)]
mod tests;
