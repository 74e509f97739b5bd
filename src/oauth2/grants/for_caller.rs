//! Token requests with the token of a caller: as the subject token (RFC 8693), or as the assertion (RFC 7523).

use std::sync::Arc;

use async_trait::async_trait;

use super::{jwt_bearer, token_exchange};
use crate::config::Grant;
use crate::metrics::SharedTokenMetrics;
use crate::oauth2::caller_tokens::{Exchange, without_tokens};
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::source::with_metrics::WithMetrics;
use crate::oauth2::source::with_tracing::{RequestKind, WithTracing};
use crate::oauth2::token::{AccessToken, TokenResponse};
use crate::otel::CurrentTracer;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::Secret;

/// Token requests with the tokens of callers, at one endpoint: with traces, and with metrics for each service that uses the tokens.
pub struct CallerGrant {
    endpoint: TokenEndpoint,
    services: String,
    metrics: SharedTokenMetrics,
    traces: Arc<CurrentTracer>,
}

impl CallerGrant {
    /// Prepares the grant. `names` are the services that use the tokens.
    pub fn new(
        endpoint: TokenEndpoint,
        names: &[&str],
        metrics: &SharedTokenMetrics,
        traces: &Arc<CurrentTracer>,
    ) -> Self {
        Self { endpoint, services: names.join(", "), metrics: metrics.clone(), traces: traces.clone() }
    }
}

#[async_trait]
impl Exchange for CallerGrant {
    async fn request(&self, subject: &Secret) -> Result<AccessToken, SourceError> {
        let config = self.endpoint.config();
        let grant = OneSubject { endpoint: &self.endpoint, subject };
        let source = WithTracing::new(
            grant,
            RequestKind::of("oauth2", config),
            self.services.clone(),
            self.traces.clone(),
        );
        let source = WithMetrics::new(source, self.metrics.clone());
        let issued = source.request_token(None).await?.access?;
        AccessToken::new(&issued, None, &config.token)
    }
}

/// The token request for one subject.
struct OneSubject<'a> {
    endpoint: &'a TokenEndpoint,
    subject: &'a Secret,
}

#[async_trait]
impl TokenSource for OneSubject<'_> {
    async fn request_token(&self, _refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let requested = match &self.endpoint.config().grant {
            Grant::TokenExchange(exchange) => {
                token_exchange::exchange(self.endpoint, exchange, self.subject).await
            }
            Grant::CallerAssertion(_) => jwt_bearer::present(self.endpoint, self.subject.expose()).await,
            _ => Err(SourceError::new(SourceErrorKind::Local, "the grant has no token of a caller")),
        };
        // Before it is counted, recorded or logged.
        let response = requested.map_err(without_tokens)?;
        Ok(TokenResponse { access: response.access.map_err(without_tokens), ..response })
    }
}
