//! One file for each grant, which is a [`TokenSource`]. Grants that get refresh tokens use them. `user_login`
//! is what the two grants that begin with a person have in common.

mod authorization_code;
mod client_credentials;
mod device_code;
mod jwt_bearer;
mod password;
mod refresh_token;
mod token_exchange;
mod user_login;

use std::sync::Arc;

use super::client::endpoint::TokenEndpoint;
use super::refresh_tokens::RefreshTokenRegistry;
use crate::config::Grant;
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::source::access_token_source::AccessTokenSource;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::source::with_metrics::WithMetrics;
use crate::oauth2::source::with_tracing::WithTracing;
use crate::oauth2::token::AccessToken;
use crate::otel::Current;
use crate::refresh::Source;

pub use authorization_code::{AuthorizationError, AuthorizationRequest};
pub use client_credentials::ClientCredentials;
pub use device_code::DeviceAuthorization;
pub use jwt_bearer::JwtBearerGrant;
pub use password::PasswordGrant;
pub use refresh_token::RefreshTokenGrant;
pub use token_exchange::ExchangeGrant;
pub use user_login::UserLoginGrant;

/// The source of access tokens for a configured grant: with traces, with metrics for each service that shares
/// the token, and with the refresh tokens of the credential. `names` are those services, for the log; the
/// first one is named in messages that ask for a login.
pub fn source(
    endpoint: TokenEndpoint,
    names: &[&str],
    refresh_tokens: &RefreshTokenRegistry,
    metrics: &SharedTokenMetrics,
    traces: &Arc<Current>,
) -> Arc<dyn Source<AccessToken>> {
    let config = endpoint.config().clone();
    let dpop_key = endpoint.dpop_key().cloned();
    let grant: Arc<dyn TokenSource> = match config.grant.clone() {
        Grant::ClientCredentials => Arc::new(ClientCredentials::new(endpoint)),
        Grant::Password(owner) => Arc::new(PasswordGrant::new(endpoint, owner)),
        Grant::RefreshToken(seed) => Arc::new(RefreshTokenGrant::new(endpoint, seed)),
        Grant::AuthorizationCode(_) | Grant::DeviceCode(_) => {
            Arc::new(UserLoginGrant::new(endpoint, names.first().copied().unwrap_or_default().to_owned()))
        }
        Grant::JwtBearer(grant) => Arc::new(JwtBearerGrant::new(endpoint, grant)),
        Grant::TokenExchange(exchange) => Arc::new(ExchangeGrant::new(endpoint, exchange)),
    };
    let name = names.join(", ");
    let source = WithTracing::new(grant, &config, name.clone(), traces.clone());
    let source = WithMetrics::new(source, metrics.clone());
    let source = refresh_tokens.wrap(name, &config, source, metrics.clone());
    Arc::new(AccessTokenSource::new(source, dpop_key))
}
