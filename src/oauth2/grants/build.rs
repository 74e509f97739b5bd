//! The source of access tokens for a configured grant, with everything around it.

use std::sync::Arc;

use async_trait::async_trait;

use super::account_credentials::AccountCredentials;
use super::client_credentials::ClientCredentials;
use super::jwt_bearer::JwtBearerGrant;
use super::password::PasswordGrant;
use super::refresh_token::RefreshTokenGrant;
use super::token_exchange::ExchangeGrant;
use super::user_login::UserLoginGrant;
use crate::config::{Grant, OAuth2};
use crate::fleet::{Fleet, Rules, Shared, TracedValue};
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::refresh_tokens::{Identity, RefreshTokenRegistry};
use crate::oauth2::source::access_token_source::AccessTokenSource;
use crate::oauth2::source::shared_tokens::SharedTokens;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::source::with_metrics::WithMetrics;
use crate::oauth2::source::with_tracing::{RequestKind, WithTracing};
use crate::oauth2::token::{AccessToken, TokenResponse};
use crate::otel::CurrentTracer;
use crate::refresh::{Source, SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The source of access tokens for a configured grant: with traces, with metrics for each service that shares
/// the token, and with the refresh tokens of the credential. `names` are those services, for the log; the
/// first one is named in messages that ask for a login. `credential` is the kind of the credential, for traces.
pub fn source(
    credential: &'static str,
    endpoint: TokenEndpoint,
    names: &[&str],
    refresh_tokens: &RefreshTokenRegistry,
    metrics: &SharedTokenMetrics,
    traces: &Arc<CurrentTracer>,
    fleet: Option<&Fleet>,
) -> Arc<dyn Source<AccessToken>> {
    let config = endpoint.config().clone();
    let (dpop_key, server) = (endpoint.dpop_key().cloned(), endpoint.server().clone());
    let grant: Arc<dyn TokenSource> = match config.grant.clone() {
        Grant::ClientCredentials => Arc::new(ClientCredentials::new(endpoint)),
        Grant::AccountCredentials(account) => Arc::new(AccountCredentials::new(endpoint, account)),
        Grant::Password(owner) => Arc::new(PasswordGrant::new(endpoint, owner)),
        Grant::RefreshToken(seed) => Arc::new(RefreshTokenGrant::new(endpoint, seed)),
        Grant::AuthorizationCode(_) | Grant::DeviceCode(_) => {
            Arc::new(UserLoginGrant::new(endpoint, names.first().copied().unwrap_or_default().to_owned()))
        }
        Grant::JwtBearer(grant) => Arc::new(JwtBearerGrant::new(endpoint, grant)),
        Grant::CallerAssertion(_) => Arc::new(NoSubject),
        Grant::TokenExchange(exchange) => Arc::new(ExchangeGrant::new(endpoint, exchange)),
    };
    let name = names.join(", ");
    let kind = RequestKind::of(credential, &config);
    let source = WithTracing::new(grant, kind, name.clone(), traces.clone());
    let source = WithMetrics::new(source, metrics.clone());
    let Some(fleet) = fleet else {
        let source = refresh_tokens.wrap(name, &config, source, metrics.clone());
        return Arc::new(AccessTokenSource::new(source, dpop_key, config.token.clone(), server));
    };
    let shared = shared(fleet, &config);
    if let Some(copy) = refresh_tokens.copy(&config).filter(|_| config.grant.keeps_refresh_token()) {
        shared.keep_copy(Arc::new(copy));
    }
    let value = TracedValue { shared, metrics: metrics.clone(), traces: traces.clone(), services: name };
    let source = SharedTokens::new(source, value);
    Arc::new(AccessTokenSource::new(source, dpop_key, config.token.clone(), server))
}

/// The token of a configuration in the fleet. One that comes with a refresh token stays the same when the client secret is rotated:
/// its refresh token must be spent once. Any other is shared by equal settings only.
pub fn shared(fleet: &Fleet, config: &OAuth2) -> Arc<Shared> {
    let rules =
        Rules { rotates: config.grant.keeps_refresh_token(), min_interval: config.request.min_interval };
    if rules.rotates {
        fleet.value("oauth2 refresh token", &Identity::of(config), rules)
    } else {
        fleet.value("oauth2", config, rules)
    }
}

/// The source of a grant that needs a caller: there is none here.
struct NoSubject;

#[async_trait]
impl TokenSource for NoSubject {
    async fn request_token(&self, _refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        Err(SourceError::new(SourceErrorKind::Local, "the assertion is the token of a caller"))
    }
}
