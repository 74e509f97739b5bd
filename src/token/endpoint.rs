//! One token endpoint: sends a form, bounds what comes back in time and size, follows no redirect.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use parking_lot::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::client_auth::{Proof, proof};
use super::expiry::Moment;
use super::http_client::HttpClient;
use super::redact::Redactor;
use super::{Expiry, FetchError, FetchFailure, Issued, response, schedule};
use crate::config::{ClientAuth, OAuth2};
use crate::dns::Resolver;
use crate::secret::Secret;
use crate::tls::TlsClient;

/// No token answer is larger; a larger one is an attack or a mistake.
const MAX_BODY: usize = 1024 * 1024;
/// Lifetime of a token where neither the endpoint, nor the configuration, nor the token itself says.
const UNSTATED_LIFETIME: Duration = Duration::from_secs(300);
/// Form fields whose values are no secrets; every other one is hidden from what is shown of the answer.
const TELLABLE: [&str; 12] = [
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

/// A token endpoint with its client's credentials.
pub struct TokenEndpoint {
    http: HttpClient,
    config: OAuth2,
    /// The configured scopes, joined by a space (RFC 6749 §3.3).
    scope: String,
    proof: Proof,
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
    pub fn new(config: &OAuth2, tls: Arc<TlsClient>, resolver: Resolver) -> reqwest::Result<Self> {
        let http = HttpClient::new(tls, resolver)?;
        let proof = proof(&config.client_id, &config.client_auth);
        Ok(Self {
            http,
            proof,
            redactor: redactor(config),
            scope: config.scopes.join(" "),
            config: config.clone(),
            last_request: Mutex::default(),
            last_stated: Mutex::default(),
            last_issued: Mutex::default(),
        })
    }

    /// The configuration this endpoint was made from.
    pub(super) fn config(&self) -> &OAuth2 {
        &self.config
    }

    /// The scope to ask for; may be empty.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// Sends a token request with these grant fields; client authentication and `endpoint_params` are added here.
    pub(super) async fn request(&self, grant: &[(&str, &str)]) -> Result<Issued, FetchError> {
        let sent = Moment::now();
        let answer = self.post(&self.config.token_url, grant, response::parse).await?;
        *self.last_issued.lock() = Some(answer.access_token.clone());
        let lifetime = self.lifetime(&answer);
        *self.last_request.lock() = Some((lifetime, sent.elapsed()));
        Ok(Issued {
            access_token: answer.access_token,
            expiry: Expiry::after(sent, schedule::usable_for(lifetime)),
            scope: answer.scope,
            refresh_token: answer.refresh_token,
        })
    }

    /// Sends these fields to an endpoint of this client's authorization server, with its client authentication, and has
    /// the answer parsed.
    pub(super) async fn post<T>(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        parse: impl FnOnce(StatusCode, &HeaderMap, &[u8], SystemTime, &Redactor) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let form = self.form(fields);
        let now = SystemTime::now();
        let limit = self.config.request_timeout;
        let limit = limit.unwrap_or_else(|| schedule::request_timeout(*self.last_request.lock()));
        let mut request = self
            .http
            .client()
            .map_err(unanswered)?
            .post(url.clone())
            .timeout(limit)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Proof::Header(value) = &self.proof {
            request = request.header(header::AUTHORIZATION, value.clone());
        }
        let mut answer = request.body(form.to_string()).send().await.map_err(unanswered)?;
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(FetchError::new(
                    FetchFailure::Malformed,
                    "the token endpoint's answer is larger than 1 MiB",
                ));
            }
            body.extend_from_slice(&chunk);
        }
        let mut redactor = match &*self.last_issued.lock() {
            Some(token) => self.redactor.clone().hide(token.expose()),
            None => self.redactor.clone(),
        };
        for (_, value) in fields.iter().filter(|(name, _)| !TELLABLE.contains(name)) {
            redactor = redactor.hide(value);
        }
        parse(answer.status(), answer.headers(), &body, now, &redactor)
    }

    fn form(&self, grant: &[(&str, &str)]) -> Zeroizing<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(grant);
        if let Proof::Form(fields) = &self.proof {
            form.extend_pairs(fields.iter().map(|(name, value)| (*name, value.as_str())));
        }
        form.extend_pairs(&self.config.endpoint_params);
        Zeroizing::new(form.finish())
    }

    /// What the answer states; else what is configured, what it stated last, what the token itself hints at.
    fn lifetime(&self, answer: &response::Answer) -> Duration {
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
        ClientAuth::SecretBasic { secret, .. } | ClientAuth::SecretPost { secret } => {
            Redactor::default().hide(secret.expose())
        }
        ClientAuth::None => Redactor::default(),
    };
    for (_, value) in config.token_url.query_pairs() {
        redactor = redactor.hide_likely(&value);
    }
    for (_, value) in &config.endpoint_params {
        redactor = redactor.hide_likely(value);
    }
    redactor
}

/// Classifies a request that got no whole answer. The URL is left out: its query is the operator's.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unanswered(error: reqwest::Error) -> FetchError {
    let mut causes = String::new();
    let mut is_tls = false;
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        is_tls |= is_tls_error(cause);
        causes = cause.to_string();
        source = cause.source();
    }
    let (reason, what) = match () {
        () if error.is_timeout() => (FetchFailure::Timeout, "the token endpoint did not answer in time"),
        () if is_tls => (FetchFailure::Tls, "TLS to the token endpoint failed"),
        () if error.is_connect() => (FetchFailure::Connect, "cannot connect to the token endpoint"),
        () => (FetchFailure::Connect, "the connection to the token endpoint broke"),
    };
    let message = if causes.is_empty() || reason == FetchFailure::Timeout {
        what.into()
    } else {
        format!("{what}: {}", response::clean(&causes))
    };
    FetchError::new(reason, message)
}

/// Whether an error comes from TLS; I/O errors are wrapped around it, and into each other.
fn is_tls_error(error: &(dyn std::error::Error + 'static)) -> bool {
    let inner = || error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || inner().is_some_and(|inner| is_tls_error(inner))
}
