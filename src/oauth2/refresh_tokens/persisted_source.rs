//! A source of token responses that uses the refresh token which was issued last, and keeps the next one.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::record::AccessTokenRecord;
use super::state_file::{Lock, StateError, StateFile};
use super::tokens::{RefreshTokenState, RefreshTokens, log_recovered_write};
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{Risk, Source, SourceError, SourceErrorKind};

/// How often a failed write is tried again.
const WRITE_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// A source that hands the current refresh token to a token source, and keeps the one that it is issued.
pub struct PersistedSource<S> {
    pub(super) inner: S,
    pub(super) refresh_tokens: Arc<RefreshTokens>,
    /// The services that use the token, for the log.
    pub(super) service: String,
    /// Whether the grant fails without the refresh token that was issued last.
    pub(super) requires_refresh_token: bool,
    /// The fingerprint of everything that the token request depends on, if access tokens are kept.
    pub(super) request_fingerprint: Option<String>,
    pub(super) metrics: SharedTokenMetrics,
}

impl<S: TokenSource> PersistedSource<S> {
    /// The access token on disk, if it can be used in place of a token request: the request would be the
    /// same, more than a quarter of the lifetime is left, and it is not the token that is to be replaced.
    fn usable_access_token(&self, state: &RefreshTokenState) -> Option<TokenResponse> {
        let token = state.record.access_token.as_ref()?;
        if self.request_fingerprint.as_ref() != Some(&token.request)
            || state.last_used == Some(state.record.serial)
        {
            return None;
        }
        let issued = token.to_issued();
        let is_fresh = issued.expiry.remaining() > token.lifetime / 4;
        is_fresh.then_some(TokenResponse { access: Ok(issued), refresh_token: None })
    }

    /// Logs a failed write, and tries it again until it succeeds.
    fn retry_write_in_background(&self, error: &StateError) {
        tracing::error!(
            sidekey.service = self.service,
            "state file not written: {error}. The new token is used, and the write is tried again. If Sidekey ends \
             before that, its refresh token is lost and a new login may be needed"
        );
        let (refresh_tokens, service) = (self.refresh_tokens.clone(), self.service.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WRITE_RETRY_INTERVAL).await;
                match refresh_tokens.retry_write(&service).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(sidekey.service = service, "{error}"),
                }
            }
        });
    }

    /// Reserves space for the refresh token that will be issued. Without it none is spent: its successor would
    /// be lost with the process. If that has happened already, the file is stale in any case, and refreshes go
    /// on from memory.
    async fn reserve<'l>(
        &self,
        file: &StateFile,
        lock: &'l Arc<Lock>,
        state: &RefreshTokenState,
    ) -> Result<Option<&'l Arc<Lock>>, SourceError> {
        if state.is_unwritten {
            return Ok(None);
        }
        let reserved = self.refresh_tokens.reserve(file, lock).await;
        reserved.map(|()| Some(lock)).map_err(|error| {
            self.metrics.state_written(false);
            local(&format_args!(
                "{error}; its refresh token is not spent, because the next one could not be kept"
            ))
        })
    }

    async fn fetch_with_file(
        &self,
        file: &StateFile,
        state: &mut RefreshTokenState,
    ) -> Result<TokenResponse, SourceError> {
        // Without the current refresh token the grant could only spend an older one, and the provider would
        // revoke it.
        let lock = match state.lock(file).await {
            Ok(lock) => Some(lock),
            Err(error) if self.requires_refresh_token => {
                self.refresh_tokens.lock_failed(&error);
                return Err(local(&error));
            }
            Err(error) => {
                tracing::warn!(sidekey.service = self.service, "token not kept: {error}");
                None
            }
        };
        match self.refresh_tokens.reload_from_disk(file, state, &self.service).await {
            Err(error) if self.requires_refresh_token => return Err(local(&error)),
            Err(error) => {
                tracing::warn!(
                    sidekey.service = self.service,
                    "state file not read: {error}; a new token is requested, and the file is renamed when it is kept"
                );
            }
            Ok(()) => {}
        }
        if let Some(response) = self.usable_access_token(state) {
            state.last_used = Some(state.record.serial);
            return Ok(response);
        }
        let reserved = match &lock {
            Some(lock) if self.requires_refresh_token => self.reserve(file, lock, state).await?,
            _ => None,
        };
        let refresh_token = state.record.refresh_token.clone();
        let issued = self.inner.request_token(refresh_token.as_ref()).await;
        if let (Err(_), Some(lock)) = (&issued, reserved) {
            self.refresh_tokens.release(file, lock).await;
        }
        let issued = issued?;
        let request = self.request_fingerprint.as_ref();
        let access_token = request.zip(issued.access.as_ref().ok());
        let access_token = access_token.map(|(request, issued)| AccessTokenRecord::of(issued, request));
        if access_token.is_none() && issued.refresh_token == refresh_token {
            if let Some(lock) = reserved {
                self.refresh_tokens.release(file, lock).await;
            }
            return Ok(issued);
        }
        state.record.refresh_token.clone_from(&issued.refresh_token);
        state.record.access_token = access_token;
        state.record.serial = state.record.serial.max(state.serial_on_disk).wrapping_add(1);
        state.last_used = Some(state.record.serial);
        let Some(lock) = lock else { return Ok(issued) };
        // Before the access token is used: whatever happens next, the successor of the spent refresh token is
        // on disk.
        let was_written = !state.is_unwritten;
        let written = self.refresh_tokens.write(file, &lock, state, self.requires_refresh_token).await;
        self.metrics.state_written(written.is_ok());
        match written {
            Err(error) if was_written => self.retry_write_in_background(&error),
            Ok(()) if !was_written => log_recovered_write(&self.service, file),
            _ => {}
        }
        Ok(issued)
    }
}

#[async_trait]
impl<S: TokenSource> Source<TokenResponse> for PersistedSource<S> {
    fn risk(&self) -> Option<Arc<Risk>> {
        let is_kept = self.requires_refresh_token && self.refresh_tokens.file().is_some();
        is_kept.then(|| self.refresh_tokens.risk().clone())
    }

    async fn changed(&self) {
        match self.refresh_tokens.file() {
            Some(file) if self.requires_refresh_token => {
                self.refresh_tokens.login_changed(file).await;
                tracing::info!(
                    sidekey.service = self.service,
                    "new login found in state.dir: a token is requested with it"
                );
            }
            _ => std::future::pending().await,
        }
    }

    async fn fetch(&self) -> Result<TokenResponse, SourceError> {
        let Some(mut state) = self.refresh_tokens.lock().await else {
            return Err(SourceError::new(SourceErrorKind::Local, "Sidekey is shutting down"));
        };
        match self.refresh_tokens.file() {
            Some(file) if self.requires_refresh_token || self.request_fingerprint.is_some() => {
                self.fetch_with_file(file, &mut state).await
            }
            _ => {
                let refresh_token = state.record.refresh_token.clone();
                let issued = self.inner.request_token(refresh_token.as_ref()).await?;
                state.record.refresh_token.clone_from(&issued.refresh_token);
                Ok(issued)
            }
        }
    }
}

fn local(error: &impl Display) -> SourceError {
    SourceError::new(SourceErrorKind::Local, error.to_string())
}

#[cfg(test)]
mod tests;
