//! One token endpoint: sends a form, bounds what comes back in time and size, follows no redirect.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::auth;
use super::auth::ClientAuthentication;
use super::discovery::{Discovery, LoginEndpoint};
use super::http::HttpClient;
use super::redact::Redactor;
use super::response;
use super::response::TokenType;
use crate::config::{ClientAuth, OAuth2, RequestFormat, TokenUrl};
use crate::net::dns::Resolver;
use crate::oauth2::dpop_key;
use crate::oauth2::dpop_key::DpopKey;
use crate::oauth2::expiry::ClockReading;
use crate::oauth2::{Expiry, SourceError, SourceErrorKind, TokenResponse, schedule};
use crate::secret::{KeyError, Secret};
use crate::tls::client::TlsClient;

/// The server in messages.
const WHO: &str = "the token endpoint";
/// Lifetime of a token where neither the endpoint, nor the configuration, nor the token itself says.
const UNSTATED_LIFETIME: Duration = Duration::from_secs(300);
/// Form fields whose values are no secrets; every other one is hidden from what is shown of the answer.
const NON_SECRET_FIELDS: [&str; 12] = [
    "grant_type",
    "scope",
    "client_id",
    "username",
    "redirect_uri",
    "audience",
    "resource",
    "subject_token_type",
    "actor_token_type",
    "requested_token_type",
    "code_challenge",
    "code_challenge_method",
];

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
    /// Where tokens are bound to a key.
    dpop_key: Option<Arc<DpopKey>>,
    /// Where the configuration names the issuer alone.
    discovery: Option<Discovery>,
    /// The configured scopes, joined as the endpoint wants them.
    scope: String,
    /// Lifetime of the last token, and how long its request took.
    last_request: Mutex<Option<(Duration, Duration)>>,
    /// The lifetime an answer last stated, for answers that do not.
    last_stated: Mutex<Option<Duration>>,
    redactor: Redactor,
    /// The last token, which an endpoint may name in its next error.
    last_issued: Mutex<Option<Secret>>,
}

impl TokenEndpoint {
    /// Prepares requests to the endpoint of this configuration. Nothing is sent yet.
    pub fn new(config: &OAuth2, tls: Arc<TlsClient>, resolver: Resolver) -> Result<Self, UnusableEndpoint> {
        let dpop_key = config.dpop.as_ref().map(|dpop| DpopKey::new(dpop.key.as_ref())).transpose()?;
        Ok(Self {
            dpop_key: dpop_key.map(Arc::new),
            http: HttpClient::new(tls, resolver, config.request.proxy.clone())?,
            redactor: redactor(config),
            discovery: matches!(config.token_url, TokenUrl::Issuer(_)).then(Discovery::default),
            scope: config.scopes.join(&config.request.scope_separator),
            config: config.clone(),
            last_request: Mutex::default(),
            last_stated: Mutex::default(),
            last_issued: Mutex::default(),
        })
    }

    /// What makes the proofs, where tokens are bound to a key.
    pub fn dpop_key(&self) -> Option<&Arc<DpopKey>> {
        self.dpop_key.as_ref()
    }

    /// The configuration this endpoint was made from.
    pub(crate) fn config(&self) -> &OAuth2 {
        &self.config
    }

    /// The scope to ask for; may be empty.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// Sends a token request with these grant fields; client authentication and `endpoint_params` are added here.
    pub(crate) async fn request(&self, grant: &[(&str, &str)]) -> Result<TokenResponse, SourceError> {
        let sent = ClockReading::now();
        let url = self.token_url().await?;
        let kind = if self.dpop_key.is_some() { TokenType::Dpop } else { TokenType::Bearer };
        let parse = |status, headers: &_, body: &_, now, redactor: &_| {
            response::parse_as(kind, status, headers, body, now, redactor)
        };
        let answer = self.post(&url, grant, parse).await;
        if let (Some(discovery), Err(error)) = (&self.discovery, &answer) {
            discovery.invalidate_if_stale(error);
        }
        let answer = answer?;
        *self.last_issued.lock() = Some(answer.access_token.clone());
        let lifetime = self.lifetime(&answer);
        *self.last_request.lock() = Some((lifetime, sent.elapsed()));
        Ok(TokenResponse {
            access_token: answer.access_token,
            expiry: Expiry::after(sent, schedule::usable_for(lifetime)),
            scope: answer.scope,
            refresh_token: answer.refresh_token,
        })
    }

    /// Where tokens are asked for: as configured, or as the issuer says.
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

    /// An endpoint for a person who logs in: as configured, or as the issuer says.
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

    fn time_limit(&self) -> Duration {
        let limit = self.config.request_timeout;
        limit.unwrap_or_else(|| schedule::request_timeout(*self.last_request.lock()))
    }

    /// Sends these fields to an endpoint of this client's authorization server, with its client authentication, and has
    /// the answer parsed.
    pub(crate) async fn post<T>(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        parse: impl Fn(StatusCode, &HeaderMap, &[u8], SystemTime, &Redactor) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let (answer, nonce) = self.exchange(url, fields, &parse).await;
        match answer {
            // The endpoint wants its own nonce in the proof, and said which (RFC 9449 §8): once more, with it.
            Err(error) if nonce && error.has_code("use_dpop_nonce") => {
                self.exchange(url, fields, &parse).await.0
            }
            answer => answer,
        }
        .map_err(|error| self.advised(error))
    }

    /// One request; also whether it brought a new nonce.
    async fn exchange<T>(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        parse: &impl Fn(StatusCode, &HeaderMap, &[u8], SystemTime, &Redactor) -> Result<T, SourceError>,
    ) -> (Result<T, SourceError>, bool) {
        let mut nonce = false;
        (self.sent(url, fields, parse, &mut nonce).await, nonce)
    }

    async fn sent<T>(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        parse: &impl Fn(StatusCode, &HeaderMap, &[u8], SystemTime, &Redactor) -> Result<T, SourceError>,
        nonce: &mut bool,
    ) -> Result<T, SourceError> {
        let proof = auth::authenticate(
            &self.config.client_id,
            &self.config.client_auth,
            self.config.token_url.as_str(),
        )
        .map_err(|error| SourceError::new(SourceErrorKind::Local, error.to_string()))?;
        let proof_fields = match &proof {
            ClientAuthentication::Form(fields) => fields.as_slice(),
            ClientAuthentication::Header(_) => &[],
        };
        let (kind, content) = self.content(fields, proof_fields);
        let now = SystemTime::now();
        let limit = self.time_limit();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        for (name, value) in &self.config.request.headers {
            let mut value = HeaderValue::from_str(value.expose()).expect("visible ASCII and spaces");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if let ClientAuthentication::Header(value) = &proof {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        if let Some(dpop_key) = &self.dpop_key {
            let proof = dpop_key.proof_for_token_request("POST", url);
            let proof = proof.map_err(|error| SourceError::new(SourceErrorKind::Local, error.to_string()))?;
            headers.insert(dpop_key::PROOF_HEADER, proof);
        }
        let unanswered = |error: reqwest::Error| {
            let mut failure = self.http.unanswered(&error, WHO);
            if failure.reason == SourceErrorKind::Timeout {
                let seconds = (limit.as_secs_f64() * 10.0).round() / 10.0;
                failure.message = format!("{} (request_timeout: {seconds} s)", failure.message);
            }
            failure
        };
        let client = self.http.client().map_err(unanswered)?;
        let request = client.post(url.clone()).timeout(limit).headers(headers);
        let mut answer = request.body(content.to_string()).send().await.map_err(unanswered)?;
        let body = self.http.body(&mut answer, WHO).await?;
        let mut redactor = match &*self.last_issued.lock() {
            Some(token) => self.redactor.clone().redact_value(token.expose()),
            None => self.redactor.clone(),
        };
        let sent =
            fields.iter().copied().chain(proof_fields.iter().map(|(name, value)| (*name, value.as_str())));
        for (_, value) in sent.filter(|(name, _)| !NON_SECRET_FIELDS.contains(name)) {
            redactor = redactor.redact_value(value);
        }
        if let Some(dpop_key) = &self.dpop_key {
            *nonce = dpop_key.record_nonce_from(url, answer.headers());
        }
        parse(answer.status(), answer.headers(), &body, now, &redactor)
    }

    /// Says what to try where the endpoint does not know the client.
    fn advised(&self, mut error: SourceError) -> SourceError {
        if error.has_code("invalid_client") {
            let method = self.config.client_auth.as_str();
            let advice = auth::advice(&self.config.client_auth);
            let _ = write!(error.message, " (sent with `auth_method: {method}`: {advice})");
        }
        error
    }

    /// Content type and content of a request.
    fn content(
        &self,
        grant: &[(&str, &str)],
        proof: &[(&str, Zeroizing<String>)],
    ) -> (&'static str, Zeroizing<String>) {
        let proof = proof.iter().map(|(name, value)| (*name, value.as_str()));
        let more = self.config.endpoint_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all = grant.iter().copied().chain(proof).chain(more);
        match self.config.request.format {
            RequestFormat::Form => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                ("application/x-www-form-urlencoded", Zeroizing::new(form.extend_pairs(all).finish()))
            }
            RequestFormat::Json => ("application/json", json_object(all)),
        }
    }

    /// What the answer states; else what is configured, what it stated last, what the token itself hints at.
    fn lifetime(&self, answer: &response::ParsedResponse) -> Duration {
        let mut last_stated = self.last_stated.lock();
        if answer.lifetime_is_stated {
            *last_stated = answer.lifetime;
        }
        answer
            .lifetime
            .filter(|_| answer.lifetime_is_stated)
            .or(self.config.default_expires_in)
            .or(*last_stated)
            .or(answer.lifetime)
            .unwrap_or(UNSTATED_LIFETIME)
    }
}

/// What an answer of this endpoint may write back and must not be shown. Some providers want a secret in the query of the
/// URL or in a parameter of their own.
fn redactor(config: &OAuth2) -> Redactor {
    let mut redactor = match &config.client_auth {
        ClientAuth::SecretBasic { secret, .. }
        | ClientAuth::SecretPost { secret }
        | ClientAuth::SecretJwt { secret, .. } => Redactor::default().redact_value(secret.expose()),
        _ => Redactor::default(),
    };
    for (_, value) in &config.request.headers {
        redactor = redactor.redact_if_long(value.expose());
    }
    if let Some((_, password)) = config.request.proxy.as_ref().and_then(|proxy| proxy.login.as_ref()) {
        redactor = redactor.redact_value(password.expose());
    }
    if let TokenUrl::Endpoint(url) = &config.token_url {
        for (_, value) in url.query_pairs() {
            redactor = redactor.redact_if_long(&value);
        }
    }
    for (_, value) in &config.endpoint_params {
        redactor = redactor.redact_if_long(value);
    }
    redactor
}

/// The parameters as members of one object; a repeated one is a list.
fn json_object<'p>(parameters: impl Iterator<Item = (&'p str, &'p str)>) -> Zeroizing<String> {
    let mut object = Map::new();
    for (name, value) in parameters {
        match object.get_mut(name) {
            None => drop(object.insert(name.into(), value.into())),
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
        }
    }
    Zeroizing::new(Value::Object(object).to_string())
}
