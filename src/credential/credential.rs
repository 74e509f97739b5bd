//! The credential of one service.

use std::sync::Arc;
use std::time::Duration;

use super::dpop::Dpop;
use super::kinds::{api_key, basic, bearer};
use super::rotation::Rotating;
use super::token::Token;
use super::{Fixed, Signer};
use crate::config::{Auth, OAuth2};
use crate::oauth2::TokenStore;

/// What signs the requests of one service.
pub struct Credential(Box<dyn Signer>);

impl Credential {
    /// Builds the credential of `service`; `token` gives the store for an OAuth2 configuration.
    pub fn new(auth: &Auth, service: &str, token: impl FnOnce(&OAuth2) -> Arc<TokenStore>) -> Self {
        match auth {
            Auth::Basic { username, password, previous } => {
                let signer = |password| Fixed::authorization(basic::value(username, password));
                Self::with_previous(
                    service,
                    signer(password.as_ref()),
                    previous.as_ref().map(|one| signer(Some(one))),
                )
            }
            Auth::Bearer { token, previous } => {
                let signer = |token| Fixed::authorization(bearer::value(token));
                Self::with_previous(service, signer(token), previous.as_ref().map(signer))
            }
            Auth::ApiKey { location, prefix, value, previous } => {
                let signer = |key| api_key::signer(location, prefix, key);
                Self::with_previous(service, signer(value), previous.as_ref().map(signer))
            }
            Auth::OAuth2(config) => Self::of_token(token(config), config.dpop.is_some()),
        }
    }

    /// A credential that sends the token of a store, with a proof if its tokens are bound to a key.
    pub fn of_token(store: Arc<TokenStore>, is_dpop: bool) -> Self {
        let token = Token::new(store);
        if is_dpop { Self(Box::new(Dpop::new(token))) } else { Self(Box::new(token)) }
    }

    fn with_previous(service: &str, new: Fixed, previous: Option<Fixed>) -> Self {
        match previous {
            None => Self(Box::new(new)),
            Some(previous) => Self(Box::new(Rotating::new(service, Box::new(new), Box::new(previous)))),
        }
    }

    /// What signs requests.
    pub fn signer(&self) -> &dyn Signer {
        &*self.0
    }

    /// Whether there is a usable credential right now.
    pub fn is_ready(&self) -> bool {
        self.0.status().is_ready
    }

    /// In how many seconds a caller should try again, at least 1.
    pub fn retry_after(&self) -> u64 {
        self.0.status().retry_after
    }

    /// Whether requests have the previous one of two secrets; `None` if there is only one.
    pub fn is_previous_in_use(&self) -> Option<bool> {
        self.0.status().is_previous_in_use
    }

    /// The token store, for readiness and metrics.
    pub fn store(&self) -> Option<&Arc<TokenStore>> {
        self.0.token_store()
    }

    /// Waits for the very first token; returns at once for any other reason of not being ready.
    pub async fn wait_for_first(&self, limit: Duration) {
        self.0.wait_for_first(limit).await;
    }
}
