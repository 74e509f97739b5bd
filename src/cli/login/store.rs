//! Where a login is stored.

use std::sync::Arc;

use anyhow::{Context, bail};

use crate::fleet::Shared;
use crate::oauth2::TokenResponse;
use crate::oauth2::refresh_tokens::{StateFile, StateRecord};
use crate::oauth2::source::shared_tokens;

/// Where the refresh token is stored.
pub(super) enum LoginStore {
    /// The file of a credential.
    File(StateFile),
    /// The shared store of a fleet.
    Fleet(Arc<Shared>),
}

impl LoginStore {
    /// Checks that there is space for a refresh token, before a person is asked for anything.
    pub(super) async fn probe(&self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => {
                let lock = file.lock().await?;
                file.reserve(&lock).context("a login could not be stored")?;
                file.release(&lock);
            }
            Self::Fleet(shared) => shared.probe().await.context("the shared store cannot be used")?,
        }
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
        match self {
            Self::File(file) => {
                let lock = file.lock().await?;
                file.save(&lock, &StateRecord::login(refresh_token)).context("cannot store the login")?;
            }
            Self::Fleet(shared) => {
                let content = shared_tokens::login(&refresh_token);
                shared.replace(&content).await.context("cannot store the login in the shared store")?;
            }
        }
        let issued = response.access.context("the login is stored, but its access token cannot be used")?;
        Ok(issued.scope)
    }
}
