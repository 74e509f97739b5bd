//! The state file of a credential whose refresh token a fleet shares: a copy beside the shared store.

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::record::StateRecord;
use super::state_file::StateFile;
use crate::fleet::SecondCopy;
use crate::oauth2::source::shared_tokens::{login, refresh_token};

/// A state file as a copy.
pub struct StateCopy(StateFile);

impl StateCopy {
    /// The copy in this file.
    pub(super) fn new(file: StateFile) -> Self {
        Self(file)
    }

    /// Runs a disk access on a thread for blocking calls.
    async fn load_file(&self) -> Result<Option<StateRecord>, String> {
        let file = self.0.clone();
        let loaded = tokio::task::spawn_blocking(move || file.load()).await;
        loaded.map_err(|_| "the disk access panicked".to_owned())?.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl SecondCopy for StateCopy {
    async fn load(&self) -> Result<Option<(u64, Zeroizing<Vec<u8>>)>, String> {
        let Some(record) = self.load_file().await? else { return Ok(None) };
        // A file from before the token was shared is older than any record of the fleet.
        let generation = record.generation.unwrap_or_default();
        Ok(record.refresh_token.map(|token| (generation, login(&token))))
    }

    async fn save(&self, generation: u64, content: &[u8]) -> Result<(), String> {
        let Some(token) = refresh_token(content) else { return Ok(()) };
        let lock = self.0.lock().await.map_err(|error| error.to_string())?;
        // Another process of this machine may have written.
        let known = self.load_file().await.ok().flatten().and_then(|record| record.generation);
        if known.is_some_and(|known| known > generation) {
            return Ok(());
        }
        let record = StateRecord { generation: Some(generation), ..StateRecord::login(token) };
        let file = self.0.clone();
        let saved = tokio::task::spawn_blocking(move || file.save(&lock, &record)).await;
        saved.map_err(|_| "the disk access panicked".to_owned())?.map_err(|error| error.to_string())
    }
}
