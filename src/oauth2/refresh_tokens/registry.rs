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

use super::files::{Identity, Lock, Saved, SavedToken, Stamp, StateDir, StateError, StateFile};
use crate::config::OAuth2;
use crate::metrics::TokenUsers;
use crate::oauth2::{FetchError, FetchFailure, Issued, TokenSource};
use crate::secret::Secret;

/// How often what could not be written is tried again.
const REWRITE: Duration = Duration::from_secs(5);
/// How often the file is looked at for what another process wrote, such as `sidekey login`.
const LOOK: Duration = Duration::from_secs(1);

/// The chains of all credentials, in memory and, with `state`, on disk.
#[derive(Default)]
pub struct Chains {
    dir: Option<StateDir>,
    chains: Mutex<HashMap<Identity, Arc<Chain>>>,
}

impl Chains {
    /// No chain yet; with a folder they are kept there.
    pub fn new(dir: Option<StateDir>) -> Self {
        Self { dir, chains: Mutex::default() }
    }

    /// The chain of a credential: always the same one, so that two configurations of it do not spend a refresh token twice.
    pub fn of(&self, config: &OAuth2) -> Arc<Chain> {
        let identity = Identity::of(config);
        let file = || self.dir.as_ref().map(|dir| dir.file(&identity));
        let mut chains = self.chains.lock();
        chains.entry(identity.clone()).or_insert_with(|| Arc::new(Chain::new(file()))).clone()
    }

    /// Wraps a source so that it goes on with the refresh token of its chain, and leaves there what it is issued.
    /// `name` says in the log whose it is.
    pub fn wrap<S: TokenSource>(
        &self,
        name: String,
        config: &OAuth2,
        inner: S,
        users: TokenUsers,
    ) -> Chained<S> {
        let keeping = self.dir.as_ref().filter(|dir| dir.keeps_access_tokens());
        let request = keeping.map(|dir| dir.fingerprint(config));
        let is_needed = config.grant.keeps_refresh_token();
        Chained { inner, chain: self.of(config), name, is_needed, request, users }
    }

    /// Ends all chains, before the process does: no token request begins any more, one that is under way is waited for until
    /// its answer is written (it has a time limit of its own), and what could not be written is tried once more.
    pub async fn end(&self) {
        let chains: Vec<_> = self.chains.lock().values().cloned().collect();
        for chain in &chains {
            chain.is_ended.store(true, Ordering::Relaxed);
        }
        for chain in chains {
            if let Err(error) = chain.rewrite("").await {
                tracing::error!("{error}. Its refresh token is lost: a login may have to be done again");
            }
        }
    }
}

/// The refresh tokens of one credential.
pub struct Chain {
    file: Option<StateFile>,
    /// Held for as long as a token request takes: nobody spends the same refresh token.
    link: tokio::sync::Mutex<Link>,
    /// The file as it was when it was last read or written here.
    seen: Mutex<Option<Stamp>>,
    /// No token request begins any more.
    is_ended: AtomicBool,
}

/// Where the chain has come to.
#[derive(Default)]
struct Link {
    saved: Saved,
    /// The serial that the file had when it was last read or written.
    on_disk: u64,
    /// `saved` could not be written: it is newer than the file.
    is_unwritten: bool,
    /// The serial of the last access token that was handed out.
    used: Option<u64>,
}

impl Chain {
    fn new(file: Option<StateFile>) -> Self {
        Self {
            file,
            link: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
            is_ended: AtomicBool::new(false),
        }
    }

    /// Waits until another process has left a new login in the file.
    async fn relogged(&self, file: &StateFile) {
        let mut last = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let stamp = file.stamp();
            if *self.seen.lock() == Some(stamp) || last.replace(stamp) == Some(stamp) {
                continue;
            }
            let known = self.link.lock().await.saved.login.clone();
            let Ok(Some(found)) = blocking(file, StateFile::load).await else { continue };
            if found.login.is_some() && found.login != known {
                return;
            }
        }
    }

    /// Brings the link up to date with the file, under its lock.
    async fn catch_up(&self, file: &StateFile, link: &mut Link, name: &str) -> Result<(), StateError> {
        let found = match blocking(file, StateFile::load).await {
            Ok(found) => found,
            Err(StateError::Unreadable { path, why }) if !why.can_be_mended() => {
                let aside = blocking(file, StateFile::set_aside).await?;
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
        *self.seen.lock() = Some(file.stamp());
        let Some(found) = found else { return Ok(()) };
        // What could not be written is newer, unless somebody else wrote meanwhile: that was a login.
        if found.serial != link.on_disk || !link.is_unwritten {
            link.on_disk = found.serial;
            link.saved = found;
            link.is_unwritten = false;
        }
        Ok(())
    }

    async fn write(&self, file: &StateFile, lock: &Arc<Lock>, link: &mut Link) -> Result<(), StateError> {
        let (saved, lock) = (link.saved.clone(), lock.clone());
        link.is_unwritten = true;
        blocking(file, move |file| file.save(&lock, &saved)).await?;
        link.is_unwritten = false;
        link.on_disk = link.saved.serial;
        *self.seen.lock() = Some(file.stamp());
        Ok(())
    }

    /// Tries once more to write what could not be written; returns whether nothing is left to write.
    async fn rewrite(&self, name: &str) -> Result<(), StateError> {
        let mut link = self.link.lock().await;
        let Some(file) = &self.file else { return Ok(()) };
        if !link.is_unwritten {
            return Ok(());
        }
        let lock = Arc::new(file.lock().await?);
        self.catch_up(file, &mut link, name).await?;
        if link.is_unwritten {
            self.write(file, &lock, &mut link).await?;
            written_at_last(name, file);
        }
        Ok(())
    }
}

/// A source that goes on with the refresh token of its chain.
pub struct Chained<S> {
    inner: S,
    chain: Arc<Chain>,
    name: String,
    /// Whether the grant cannot do without what is in the chain.
    is_needed: bool,
    /// Fingerprint of all that shapes the request, where access tokens are kept.
    request: Option<String>,
    users: TokenUsers,
}

impl<S: TokenSource> Chained<S> {
    /// The chain.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// The access token on disk, if it is worth using: the same request would be made for it, it has most of its life
    /// before it, and it is none that was used here and is now to be replaced.
    fn kept(&self, link: &Link) -> Option<Issued> {
        let token = link.saved.access_token.as_ref()?;
        if self.request.as_ref() != Some(&token.request) || link.used == Some(link.saved.serial) {
            return None;
        }
        let issued = token.issued();
        (issued.expiry.remaining() > token.lifetime / 4).then_some(issued)
    }

    /// Says loudly that a write failed, and has it tried again until it succeeds.
    fn unwritten(&self, error: &StateError) {
        tracing::error!(
            service.name = self.name,
            "{error}. What the token endpoint issued is used all the same and writing it is tried again; \
             if Sidekey ends before that, its refresh token is lost and a login may have to be done again"
        );
        let (chain, name) = (self.chain.clone(), self.name.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REWRITE).await;
                match chain.rewrite(&name).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(service.name = name, "{error}"),
                }
            }
        });
    }

    async fn fetch_kept(&self, file: &StateFile, link: &mut Link) -> Result<Issued, FetchError> {
        // Without its refresh token it could only spend an older one, and have the whole grant taken back.
        let lock = match file.lock().await {
            Ok(lock) => Some(Arc::new(lock)),
            Err(error) if self.is_needed => return Err(local(&error)),
            Err(error) => {
                tracing::warn!(service.name = self.name, "{error}; the token is not kept");
                None
            }
        };
        match self.chain.catch_up(file, link, &self.name).await {
            Err(error) if self.is_needed => return Err(local(&error)),
            Err(error) => {
                tracing::warn!(
                    service.name = self.name,
                    "{error}; a new token is asked for, and the file set aside when it is kept"
                );
            }
            Ok(()) => {}
        }
        if let Some(kept) = self.kept(link) {
            link.used = Some(link.saved.serial);
            return Ok(kept);
        }
        let held = link.saved.refresh_token.clone();
        let issued = self.inner.fetch(held.as_ref()).await?;
        let access_token = self.request.as_ref().map(|request| SavedToken::of(&issued, request));
        if access_token.is_none() && issued.refresh_token == held {
            return Ok(issued);
        }
        link.saved.refresh_token.clone_from(&issued.refresh_token);
        link.saved.access_token = access_token;
        link.saved.serial = link.saved.serial.max(link.on_disk).wrapping_add(1);
        link.used = Some(link.saved.serial);
        let Some(lock) = lock else { return Ok(issued) };
        // Before the access token is used: whatever happens next, what replaces the spent refresh token is on disk.
        let was_written = !link.is_unwritten;
        let written = self.chain.write(file, &lock, link).await;
        self.users.state_written(written.is_ok());
        match written {
            Err(error) if was_written => self.unwritten(&error),
            Ok(()) if !was_written => written_at_last(&self.name, file),
            _ => {}
        }
        Ok(issued)
    }
}

#[async_trait]
impl<S: TokenSource> TokenSource for Chained<S> {
    async fn changed(&self) {
        match &self.chain.file {
            Some(file) if self.is_needed => {
                self.chain.relogged(file).await;
                tracing::info!(
                    service.name = self.name,
                    "a new login was found in state.dir: a token is asked for with it"
                );
            }
            _ => self.inner.changed().await,
        }
    }

    async fn fetch(&self, _held: Option<&Secret>) -> Result<Issued, FetchError> {
        let mut link = self.chain.link.lock().await;
        if self.chain.is_ended.load(Ordering::Relaxed) {
            return Err(FetchError::new(FetchFailure::Local, "Sidekey is ending"));
        }
        match &self.chain.file {
            Some(file) if self.is_needed || self.request.is_some() => self.fetch_kept(file, &mut link).await,
            _ => {
                let held = link.saved.refresh_token.clone();
                let issued = self.inner.fetch(held.as_ref()).await?;
                link.saved.refresh_token.clone_from(&issued.refresh_token);
                Ok(issued)
            }
        }
    }
}

fn written_at_last(name: &str, file: &StateFile) {
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

fn local(error: &StateError) -> FetchError {
    FetchError::new(FetchFailure::Local, error.to_string())
}

#[cfg(test)]
mod tests;
