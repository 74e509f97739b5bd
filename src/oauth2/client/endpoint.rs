//! One endpoint of an authorization server: sends a form, limits the answer in time and size, follows no
//! redirect.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use url::Url;

use super::auth;
use super::auth::ClientAuthentication;
use super::discovery::{Discovery, ExpectedIssuer, LoginEndpoint};
use super::http::HttpClient;
use super::lifetime::LifetimeMemory;
use super::observed::{learn_from, learn_from_error};
use super::raw_response::RawResponse;
use super::redact::Redactor;
use super::request::PreparedRequest;
use super::response;
use super::response::{Expected, ParsedToken};
use super::token_type::TokenType;
use super::turns::Turns;
use crate::config::{OAuth2, TokenUrl};
use crate::net::dns::Resolver;
use crate::oauth2::dpop_key;
use crate::oauth2::dpop_key::DpopKey;
use crate::oauth2::token::{IssuedToken, TokenResponse};
use crate::refresh::schedule;
use crate::refresh::{ClockReading, ErrorCode, Expiry, SourceError, SourceErrorKind, SourceServer};
use crate::secret::{KeyError, Secret, SigningError};
use crate::tls::client::TlsClient;

/// The server in messages.
const WHO: &str = "the token endpoint";

/// Why requests to a token endpoint cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum UnusableEndpoint {
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The key of the proofs.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A token endpoint with its client's credentials.
pub struct TokenEndpoint {
    http: HttpClient,
    config: OAuth2,
    /// Set if tokens are bound to a key.
    dpop_key: Option<Arc<DpopKey>>,
    /// Set if the configuration names the issuer alone.
    discovery: Option<Discovery>,
    /// The configured scopes, joined as the endpoint wants them.
    scope: String,
    lifetimes: LifetimeMemory,
    /// Knows the secrets of the configuration.
    redactor: Redactor,
    /// The last token, which an endpoint may name in its next error.
    last_token: Mutex<Option<Secret>>,
    server: Arc<SourceServer>,
    /// Set if its token requests wait for a turn.
    turns: Option<Turns>,
}

impl TokenEndpoint {
    /// Prepares requests to the endpoint of this configuration. Nothing is sent yet.
    pub fn new(config: &OAuth2, tls: Arc<TlsClient>, resolver: Resolver) -> Result<Self, UnusableEndpoint> {
        let dpop_key = config.dpop.as_ref().map(|dpop| DpopKey::new(dpop.key.as_ref())).transpose()?;
        Ok(Self {
            dpop_key: dpop_key.map(Arc::new),
            http: HttpClient::new(tls, resolver, config.request.proxy.as_ref())?,
            redactor: Redactor::for_config(config),
            discovery: matches!(config.token_url, TokenUrl::Issuer(_)).then(Discovery::default),
            scope: config.scopes.join(&config.request.scope_separator),
            config: config.clone(),
            lifetimes: LifetimeMemory::default(),
            last_token: Mutex::default(),
            server: Arc::default(),
            turns: None,
        })
    }

    /// Has each token request wait for its turn.
    #[must_use]
    pub(crate) fn with_turns(self, turns: Turns) -> Self {
        Self { turns: Some(turns), ..self }
    }

    /// The key that tokens are bound to, if they are bound to one.
    pub fn dpop_key(&self) -> Option<&Arc<DpopKey>> {
        self.dpop_key.as_ref()
    }

    /// What the answers of the endpoint have shown of it.
    pub fn server(&self) -> &Arc<SourceServer> {
        &self.server
    }

    /// The configuration that this endpoint was made from.
    pub(crate) fn config(&self) -> &OAuth2 {
        &self.config
    }

    /// The scope to ask for; may be empty.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// Sends a token request with these grant fields; client authentication and `token_request.params` are added
    /// here.
    pub(crate) async fn request(&self, grant: &[(&str, &str)]) -> Result<TokenResponse, SourceError> {
        let _turn = match &self.turns {
            Some(turns) => Some(turns.next().await),
            None => None,
        };
        let sent = ClockReading::now();
        let url = self.token_url().await?;
        let token_type = if self.dpop_key.is_some() { TokenType::Dpop } else { TokenType::Bearer };
        let expected = Expected {
            token_type,
            accepted: self.config.accept_token_type.as_deref(),
            field: self.config.token_field.as_ref(),
        };
        let answer = self.post(&url, grant, |answer| response::parse(expected, answer)).await;
        if let (Some(discovery), Err(error)) = (&self.discovery, &answer) {
            discovery.invalidate_if_stale(error);
        }
        let answer = answer?;
        let access = answer.access.and_then(|token| self.issued(token, sent));
        match (access, answer.refresh_token) {
            (Err(error), None) => Err(error),
            (access, refresh_token) => Ok(TokenResponse { access, refresh_token }),
        }
    }

    /// The token of an answer to a request that was sent at this time.
    fn issued(&self, token: ParsedToken, sent: ClockReading) -> Result<IssuedToken, SourceError> {
        // Of callers there are many tokens, which are held elsewhere and no longer than they are valid.
        let is_of_caller = self.config.grant.caller_tokens().is_some();
        if !is_of_caller {
            *self.last_token.lock() = Some(token.value.clone());
        }
        let lifetime = self.lifetimes.resolve(&token.end, self.config.default_expires_in);
        let lifetime =
            lifetime.map_err(|error| SourceError::new(SourceErrorKind::Malformed, error.to_string()))?;
        if !is_of_caller {
            self.lifetimes.record(lifetime, sent.elapsed());
        }
        Ok(IssuedToken {
            value: token.value,
            expiry: Expiry::after(sent, schedule::usable_for(lifetime)),
            scope: token.scope,
        })
    }

    /// The URL of token requests: as configured, or as the issuer's metadata says.
    async fn token_url(&self) -> Result<Url, SourceError> {
        match (&self.config.token_url, &self.discovery) {
            (TokenUrl::Issuer(issuer), Some(discovery)) => {
                let by_certificate = self.config.client_auth.is_by_certificate();
                let found = discovery.metadata(issuer, &self.http, self.time_limit()).await?;
                Ok(found.token_endpoint(by_certificate).clone())
            }
            (TokenUrl::Endpoint(url), _) => Ok(url.clone()),
            (TokenUrl::Issuer(_), None) => unreachable!("an issuer has a discovery"),
        }
    }

    /// The URL of an endpoint for a person who logs in: as configured, or as the issuer's metadata says.
    pub async fn login_endpoint(
        &self,
        configured: Option<&Url>,
        which: LoginEndpoint,
    ) -> Result<Url, SourceError> {
        match (configured, &self.config.token_url, &self.discovery) {
            (Some(url), _, _) => Ok(url.clone()),
            (None, TokenUrl::Issuer(issuer), Some(discovery)) => {
                let found = discovery.metadata(issuer, &self.http, self.time_limit()).await?;
                found.login_endpoint(issuer, which)
            }
            (None, _, _) => unreachable!("the configuration has the URL or an issuer"),
        }
    }

    /// The issuer that authorization responses must name; `None` if the configuration names none.
    pub async fn expected_issuer(&self) -> Result<Option<ExpectedIssuer>, SourceError> {
        let (TokenUrl::Issuer(issuer), Some(discovery)) = (&self.config.token_url, &self.discovery) else {
            return Ok(None);
        };
        let found = discovery.metadata(issuer, &self.http, self.time_limit()).await?;
        Ok(Some(found.expected_issuer(issuer)))
    }

    fn time_limit(&self) -> Duration {
        self.config.request.timeout.unwrap_or_else(|| self.lifetimes.request_timeout())
    }

    /// Sends these fields to an endpoint of the authorization server, with the client's authentication, and
    /// parses the answer.
    pub(crate) async fn post<T>(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        parse: impl Fn(&RawResponse) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let (answer, has_new_nonce) = self.send(url, fields).await?;
        let mut result = parse(&answer);
        // The endpoint requires a nonce in the proof, and has supplied it (RFC 9449 §8): one retry, with that
        // nonce.
        if has_new_nonce && matches!(&result, Err(error) if error.has_code(&ErrorCode::UseDpopNonce)) {
            let (answer, _) = self.send(url, fields).await?;
            result = parse(&answer);
        }
        result.map_err(|error| self.with_advice(error))
    }

    /// One request and its answer; also whether the answer has a new nonce for DPoP proofs.
    async fn send(&self, url: &Url, fields: &[(&str, &str)]) -> Result<(RawResponse, bool), SourceError> {
        let local = |error: SigningError| SourceError::new(SourceErrorKind::Local, error.to_string());
        let audience = self.config.token_url.as_str();
        let authentication =
            auth::authenticate(&self.config.client_id, &self.config.client_auth, audience).await?;
        let mut request = PreparedRequest::new(&self.config, fields, &authentication);
        if let Some(dpop_key) = &self.dpop_key {
            let proof = dpop_key.proof_for_token_request("POST", url).map_err(local)?;
            request.headers.insert(dpop_key::PROOF_HEADER, proof);
        }
        let sent_at = SystemTime::now();
        let limit = self.time_limit();
        let failed = |error: reqwest::Error| {
            let mut failure = self.http.request_error(&error, WHO);
            if failure.kind == SourceErrorKind::Timeout {
                let seconds = (limit.as_secs_f64() * 10.0).round() / 10.0;
                failure.message = format!("{} (token_request.timeout: {seconds} s)", failure.message);
            }
            failure
        };
        let http = self.http.client().map_err(failed)?.post(url.clone()).timeout(limit);
        let http = http.headers(request.headers).body(request.content.to_string());
        let answer = http.send().await.inspect_err(|error| learn_from_error(&self.server, error));
        let mut answer = answer.map_err(failed)?;
        learn_from(&self.server, &answer, sent_at);
        let body = self.http.body(&mut answer, WHO).await?;
        let headers = std::mem::take(answer.headers_mut());
        let has_new_nonce =
            self.dpop_key.as_ref().is_some_and(|dpop_key| dpop_key.record_nonce_from(url, &headers));
        let redactor = self.redactor_for(fields, &authentication);
        Ok((RawResponse { status: answer.status(), headers, body, sent_at, redactor }, has_new_nonce))
    }

    /// Knows what the answer to a request with these fields must not show.
    fn redactor_for(&self, fields: &[(&str, &str)], authentication: &ClientAuthentication) -> Redactor {
        let authentication = authentication.form_fields().iter().map(|(name, value)| (*name, value.as_str()));
        let redactor = self.redactor.clone().redact_fields(fields.iter().copied().chain(authentication));
        match &*self.last_token.lock() {
            Some(token) => redactor.redact_value(token.expose()),
            None => redactor,
        }
    }

    /// Adds what to try if the endpoint does not know the client.
    fn with_advice(&self, mut error: SourceError) -> SourceError {
        if error.has_code(&ErrorCode::InvalidClient) {
            let method = self.config.client_auth.as_str();
            let advice = auth::invalid_client_advice(&self.config.client_auth);
            let _ = write!(error.message, " (sent with `auth_method: {method}`: {advice})");
        }
        error
    }
}
