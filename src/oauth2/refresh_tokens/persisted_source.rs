//! A token source that uses the refresh token which was issued last.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::record::AccessTokenRecord;
use super::state_file::{StateError, StateFile};
use super::tokens::{RefreshTokenState, RefreshTokens, log_recovered_write};
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{Source, SourceError, SourceErrorKind};

/// How often what could not be written is tried again.
const WRITE_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// A source that goes on with the refresh token of its chain.
pub struct PersistedSource<S> {
    pub(super) inner: S,
    pub(super) refresh_tokens: Arc<RefreshTokens>,
    pub(super) name: String,
    /// Whether the grant cannot do without what is in the chain.
    pub(super) requires_refresh_token: bool,
    /// Fingerprint of all that shapes the request, where access tokens are kept.
    pub(super) request: Option<String>,
    pub(super) users: SharedTokenMetrics,
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
            sidekey.service = self.name,
            "state file not written: {error}. The new token is used, and the write is tried again. If Sidekey ends \
             before that, its refresh token is lost and a new login may be needed"
        );
        let (refresh_tokens, name) = (self.refresh_tokens.clone(), self.name.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WRITE_RETRY_INTERVAL).await;
                match refresh_tokens.retry_write(&name).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(sidekey.service = name, "{error}"),
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
                tracing::warn!(sidekey.service = self.name, "token not kept: {error}");
                None
            }
        };
        match self.refresh_tokens.reload_from_disk(file, state, &self.name).await {
            Err(error) if self.requires_refresh_token => return Err(local(&error)),
            Err(error) => {
                tracing::warn!(
                    sidekey.service = self.name,
                    "state file not read: {error}; a new token is requested, and the file is renamed when it is kept"
                );
            }
            Ok(()) => {}
        }
        if let Some(kept) = self.usable_access_token(state) {
            state.used = Some(state.saved.serial);
            return Ok(kept);
        }
        let refresh_token = state.saved.refresh_token.clone();
        let issued = self.inner.request_token(refresh_token.as_ref()).await?;
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
impl<S: TokenSource> Source<TokenResponse> for PersistedSource<S> {
    async fn changed(&self) {
        match self.refresh_tokens.file() {
            Some(file) if self.requires_refresh_token => {
                self.refresh_tokens.login_changed(file).await;
                tracing::info!(
                    sidekey.service = self.name,
                    "new login found in state.dir: a token is requested with it"
                );
            }
            _ => std::future::pending().await,
        }
    }

    async fn fetch(&self) -> Result<TokenResponse, SourceError> {
        let Some(mut state) = self.refresh_tokens.lock().await else {
            return Err(SourceError::new(SourceErrorKind::Local, "Sidekey is ending"));
        };
        match self.refresh_tokens.file() {
            Some(file) if self.requires_refresh_token || self.request.is_some() => {
                self.fetch_with_file(file, &mut state).await
            }
            _ => {
                let refresh_token = state.saved.refresh_token.clone();
                let issued = self.inner.request_token(refresh_token.as_ref()).await?;
                state.saved.refresh_token.clone_from(&issued.refresh_token);
                Ok(issued)
            }
        }
    }
}

fn local(error: &StateError) -> SourceError {
    SourceError::new(SourceErrorKind::Local, error.to_string())
}

#[cfg(test)]
mod tests;
