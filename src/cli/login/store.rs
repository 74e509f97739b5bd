//! Where a login is stored.

use anyhow::{Context, bail};

use crate::oauth2::TokenResponse;
use crate::oauth2::refresh_tokens::{StateFile, StateRecord};

/// Where the refresh token is stored.
pub(super) struct LoginStore {
    file: StateFile,
}

impl LoginStore {
    /// A store in the file of a credential.
    pub(super) fn new(file: StateFile) -> Self {
        Self { file }
    }

    /// Checks that there is space for a refresh token, before a person is asked for anything.
    pub(super) async fn probe(&self) -> anyhow::Result<()> {
        let lock = self.file.lock().await?;
        self.file.reserve(&lock).context("a login could not be stored")?;
        self.file.release(&lock);
        Ok(())
    }

    /// Writes the refresh token. The access token is not stored. Returns the scope that was granted, if the
    /// provider states it.
    pub(super) async fn save(&self, response: TokenResponse) -> anyhow::Result<Option<String>> {
        let Some(refresh_token) = response.refresh_token else {
            bail!(
                "the provider issued no refresh token, so the login would end with its first token. How to request one depends \
                 on the provider: the scope `offline_access`, or `authorization_params` such as \
                 `access_type: offline` or `prompt: consent`"
            );
        };
        let lock = self.file.lock().await?;
        self.file.save(&lock, &StateRecord::login(refresh_token)).context("cannot store the login")?;
        let issued = response.access.context("the login is stored, but its access token cannot be used")?;
        Ok(issued.scope)
    }
}
