//! The refresh tokens of all credentials of the process.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::identity::Identity;
use super::persisted_source::PersistedSource;
use super::second_copy::StateCopy;
use super::state_dir::StateDir;
use super::tokens::RefreshTokens;
use crate::config::OAuth2;
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::source::token_source::TokenSource;

/// The refresh tokens of all credentials, in memory and, with `state`, on disk.
#[derive(Default)]
pub struct RefreshTokenRegistry {
    dir: Option<StateDir>,
    entries: Mutex<HashMap<Identity, Arc<RefreshTokens>>>,
}

impl RefreshTokenRegistry {
    /// An empty registry. With a folder, refresh tokens are kept there.
    pub fn new(dir: Option<StateDir>) -> Self {
        Self { dir, entries: Mutex::default() }
    }

    /// The refresh tokens of a credential: always the same ones, so that two configurations of a credential
    /// do not spend a refresh token twice.
    pub fn get_or_insert(&self, config: &OAuth2) -> Arc<RefreshTokens> {
        let identity = Identity::of(config);
        let file = || self.dir.as_ref().map(|dir| dir.file(&identity));
        let mut entries = self.entries.lock();
        entries.entry(identity.clone()).or_insert_with(|| Arc::new(RefreshTokens::new(file()))).clone()
    }

    #[cfg(test)]
    pub(super) fn insert_for_test(&self, identity: Identity, refresh_tokens: Arc<RefreshTokens>) {
        self.entries.lock().insert(identity, refresh_tokens);
    }

    /// The copy of the refresh token of a credential that a fleet shares; `None` if nothing is kept on disk.
    pub fn copy(&self, config: &OAuth2) -> Option<StateCopy> {
        self.dir.as_ref().map(|dir| StateCopy::new(dir.file(&Identity::of(config))))
    }

    /// Wraps a source so that it uses the refresh token that was issued last, and keeps the one that it is
    /// issued. `service` names the services that use the token, for the log.
    pub fn wrap<S: TokenSource>(
        &self,
        service: String,
        config: &OAuth2,
        inner: S,
        metrics: SharedTokenMetrics,
    ) -> PersistedSource<S> {
        let keeping = self.dir.as_ref().filter(|dir| dir.keeps_access_tokens());
        let request_fingerprint = keeping.map(|dir| dir.fingerprint(config));
        let requires_refresh_token = config.grant.keeps_refresh_token();
        let refresh_tokens = self.get_or_insert(config);
        PersistedSource {
            inner,
            refresh_tokens,
            service,
            requires_refresh_token,
            request_fingerprint,
            metrics,
        }
    }

    /// Prepares for the end of the process: no token request starts any more, a request in progress is waited
    /// for until its response is written (it has a time limit), and what could not be written is tried again.
    pub async fn shut_down(&self) {
        let entries: Vec<_> = self.entries.lock().values().cloned().collect();
        for refresh_tokens in &entries {
            refresh_tokens.shut_down();
        }
        for refresh_tokens in entries {
            if let Err(error) = refresh_tokens.retry_write("").await {
                tracing::error!("refresh token lost: {error}. A new login may be needed");
            }
        }
    }
}
