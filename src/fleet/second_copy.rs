//! A second copy of a refresh token, beside the store.

use async_trait::async_trait;
use zeroize::Zeroizing;

/// Where the newest refresh token of a fleet is kept on this machine, too. The copy with the larger generation counts.
#[async_trait]
pub trait SecondCopy: Send + Sync {
    /// The copy and its generation; `None` if there is none. The error is in plain words, without a secret.
    async fn load(&self) -> Result<Option<(u64, Zeroizing<Vec<u8>>)>, String>;

    /// Keeps the content of a record of this generation, unless a newer one is there.
    async fn save(&self, generation: u64, content: &[u8]) -> Result<(), String>;
}
