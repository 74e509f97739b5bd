//! A test of one service: obtains its credential, calls its upstream once, and explains the outcome in plain words.
//!
//! Credential and connection are those of a caller's request, so that what works here works there. Nothing in a [`TestReport`]
//! is secret: no token, no body, and of the upstream's header fields only words from a fixed list.

mod explain;
mod probe;
mod reachability;

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::oauth2::claims;
use crate::runtime::service::Service;

use explain::Diagnosis;
use probe::{ProbeError, ResponseHead};

pub use reachability::{ProbeResult, ProbeTarget, Role, probe_all};

/// The outcome of a test.
#[derive(Debug, Serialize)]
pub struct TestReport {
    /// The service's name.
    pub service: String,
    /// `basic`, `bearer`, `api_key`, `oauth2`.
    pub credential: &'static str,
    /// The token, for a credential that has one.
    pub token: Option<TokenReport>,
    /// Always `GET`, which changes nothing.
    pub method: &'static str,
    /// The URL that was requested, or would have been, without the query.
    pub url: String,
    /// The status of the upstream's response.
    pub status: Option<u16>,
    /// Milliseconds from the first byte sent to the end of the response head.
    pub duration_ms: Option<u64>,
    /// The known authentication schemes and error codes (RFC 6750, RFC 9449) in `WWW-Authenticate`.
    pub challenges: Vec<&'static str>,
    /// Whether the upstream accepted the request.
    pub ok: bool,
    /// What happened, in one sentence.
    pub summary: String,
    /// What to look at and what to change, most likely first.
    pub suggestions: Vec<String>,
}

/// The parts of a token that are not secret.
#[derive(Debug, Serialize)]
pub struct TokenReport {
    /// `Bearer`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Seconds until it expires.
    pub expires_in_seconds: u64,
    /// Its lifetime, as Sidekey counts it, in seconds.
    pub lifetime_seconds: u64,
    /// The scope that was granted, if the token endpoint states it.
    pub scope: Option<String>,
    /// The claims of a JWT that identify no person. They are not verified.
    pub claims: Option<Map<String, Value>>,
}

/// Tests a service: waits for its credential, `token_limit` at most, and requests `path` (which begins with `/`) below the path
/// of its upstream.
pub async fn test_service(service: &Service, path: &str, token_limit: Duration) -> TestReport {
    let bare_path = path.split('?').next().unwrap_or_default();
    let to = service.upstream.pick();
    let mut report = TestReport {
        service: service.name.clone(),
        credential: service.kind,
        token: None,
        method: "GET",
        url: to.url() + bare_path,
        status: None,
        duration_ms: None,
        challenges: Vec::new(),
        ok: false,
        summary: String::new(),
        suggestions: Vec::new(),
    };
    if let Err(diagnosis) = await_credential(service, token_limit).await {
        return report.with(diagnosis);
    }
    report.token = token(service);
    let start = Instant::now();
    match probe::get(service, to, path).await {
        Ok(answer) => {
            report.status = Some(answer.status);
            report.duration_ms = u64::try_from(start.elapsed().as_millis()).ok();
            report.ok = answer.status < 400;
            report.challenges.clone_from(&answer.challenges);
            let diagnosis = explain::responded(&answer, &report);
            report.with(diagnosis)
        }
        Err(error) => report.with(explain::request_failed(&error)),
    }
}

impl TestReport {
    fn with(mut self, diagnosis: Diagnosis) -> Self {
        self.summary = diagnosis.summary;
        self.suggestions = diagnosis.suggestions;
        self
    }
}

/// Waits for a usable credential, or for the first failure to obtain one.
async fn await_credential(service: &Service, token_limit: Duration) -> Result<(), Diagnosis> {
    let Some(store) = service.credential.store() else { return Ok(()) };
    let is_decided = || service.credential.is_ready() || store.status().last_error.is_some();
    // If the limit is reached, neither is the case.
    let _ = tokio::time::timeout(token_limit, store.wait_until(is_decided)).await;
    if service.credential.is_ready() {
        return Ok(());
    }
    match store.status().last_error {
        Some(error) => Err(explain::token_refused(&error)),
        None => Err(explain::token_missing(token_limit)),
    }
}

fn token(service: &Service) -> Option<TokenReport> {
    let current = service.credential.store()?.current()?;
    let token = current.as_ref()?;
    Some(TokenReport {
        kind: token.scheme().to_owned(),
        expires_in_seconds: token.expiry.remaining().as_secs(),
        lifetime_seconds: token.expiry.lifetime().as_secs(),
        scope: token.scope.clone(),
        claims: claims::public_claims(token),
    })
}
