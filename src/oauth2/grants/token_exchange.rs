//! `token_exchange` (RFC 8693): exchanges one token for another, such as a projected Kubernetes
//! service-account token for one of a cloud (workload identity federation). The subject token is read again
//! for each request, because its lifetime is short. A command is run again for each request as well.

use async_trait::async_trait;

use crate::config::{SubjectToken, TokenExchange};
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::client::fresh_secret;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::Secret;

/// The token exchange at one endpoint.
pub struct ExchangeGrant {
    endpoint: TokenEndpoint,
    exchange: Box<TokenExchange>,
}

impl ExchangeGrant {
    /// Prepares the grant.
    pub fn new(endpoint: TokenEndpoint, exchange: Box<TokenExchange>) -> Self {
        Self { endpoint, exchange }
    }
}

#[async_trait]
impl TokenSource for ExchangeGrant {
    async fn request_token(&self, _refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let SubjectToken::Source(source) = &self.exchange.subject_token else {
            return Err(SourceError::new(SourceErrorKind::Local, "the subject token is that of a caller"));
        };
        let subject = fresh_secret::read("subject_token", source).await?;
        exchange(&self.endpoint, &self.exchange, &subject).await
    }
}

/// Exchanges a subject token.
pub(super) async fn exchange(
    endpoint: &TokenEndpoint,
    exchange: &TokenExchange,
    subject: &Secret,
) -> Result<TokenResponse, SourceError> {
    let actor = match &exchange.actor_token {
        Some((source, kind)) => Some((fresh_secret::read("actor_token", source).await?, kind)),
        None => None,
    };
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", subject.expose()),
        ("subject_token_type", &exchange.subject_token_type),
    ];
    if let Some((token, kind)) = &actor {
        fields.push(("actor_token", token.expose()));
        fields.push(("actor_token_type", kind));
    }
    let wanted = exchange.requested_token_type.as_deref();
    fields.extend(wanted.map(|kind| ("requested_token_type", kind)));
    fields.extend(exchange.audience.iter().map(|name| ("audience", name.as_str())));
    fields.extend(exchange.resource.iter().map(|uri| ("resource", uri.as_str())));
    let scope = endpoint.scope();
    if !scope.is_empty() {
        fields.push(("scope", scope));
    }
    let issued = endpoint.request(&fields).await?;
    Ok(TokenResponse { refresh_token: None, ..issued })
}
