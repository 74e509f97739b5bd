//! The refresh tokens of all credentials of a process.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::identity::Identity;
use super::persisted_source::PersistedSource;
use super::state_dir::StateDir;
use super::tokens::RefreshTokens;
use crate::config::OAuth2;
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::source::token_source::TokenSource;

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

    #[cfg(test)]
    pub(super) fn insert_for_test(&self, identity: Identity, refresh_tokens: Arc<RefreshTokens>) {
        self.entries.lock().insert(identity, refresh_tokens);
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
        let refresh_tokens = self.of(config);
        PersistedSource { inner, refresh_tokens, name, requires_refresh_token, request, users }
    }

    /// Ends all chains, before the process does: no token request begins any more, one that is under way is waited for until
    /// its answer is written (it has a time limit of its own), and what could not be written is tried once more.
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
