//! A trial of one service: obtain its credential, call its upstream once, and say in plain words what came of it.
//!
//! The same credential and the same way to the upstream as for a request of a caller, so that what works here works there.
//! Nothing in a [`Report`] is secret: no token, no body, no header of the upstream but what is known by heart.

mod explain;
mod probe;
mod reachability;

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::oauth2::claims;
use crate::runtime::service::Service;

use explain::Meaning;
use probe::{Answer, CallError};

pub use reachability::{Reached, Role, Server, reach};

/// How often it is looked whether the token has come.
const LOOK: Duration = Duration::from_millis(20);

/// What came of a trial.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The service's name.
    pub service: String,
    /// `basic`, `bearer`, `api_key`, `oauth2`.
    pub credential: &'static str,
    /// What is known of the token; nothing for credentials without one.
    pub token: Option<TokenReport>,
    /// Always `GET`, which changes nothing.
    pub method: &'static str,
    /// Where the request went, or would have gone; without the query.
    pub url: String,
    /// What the upstream answered.
    pub status: Option<u16>,
    /// From the first byte sent to the answer's head, in milliseconds.
    pub milliseconds: Option<u64>,
    /// Schemes (and RFC 6750 error codes) of `WWW-Authenticate`, those that are known.
    pub challenges: Vec<&'static str>,
    /// Whether the upstream took the request.
    pub ok: bool,
    /// What happened, in one sentence.
    pub meaning: String,
    /// What to look at and what to change, most likely first.
    pub advice: Vec<String>,
}

/// What may be said of a token.
#[derive(Debug, Serialize)]
pub struct TokenReport {
    /// `Bearer`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How long it may be used from now on, in seconds.
    pub seconds_left: u64,
    /// Its lifetime, as Sidekey counts it, in seconds.
    pub lifetime_seconds: u64,
    /// The scope that the endpoint granted, where it says.
    pub scope: Option<String>,
    /// Claims of a JWT that say nothing of a person; not verified.
    pub claims: Option<Map<String, Value>>,
}

/// Tries a service: waits for its credential, `patience` at most, and calls `path` of its upstream (which begins with `/`).
pub async fn run(service: &Service, path: &str, patience: Duration) -> Report {
    let bare_path = path.split('?').next().unwrap_or_default();
    let to = service.upstream.pick();
    let mut report = Report {
        service: service.name.clone(),
        credential: service.kind,
        token: None,
        method: "GET",
        url: to.url() + bare_path,
        status: None,
        milliseconds: None,
        challenges: Vec::new(),
        ok: false,
        meaning: String::new(),
        advice: Vec::new(),
    };
    if let Err(meaning) = obtained(service, patience).await {
        return report.with(meaning);
    }
    report.token = token(service);
    let start = Instant::now();
    match probe::get(service, to, path).await {
        Ok(answer) => {
            report.status = Some(answer.status);
            report.milliseconds = u64::try_from(start.elapsed().as_millis()).ok();
            report.ok = answer.status < 400;
            report.challenges.clone_from(&answer.challenges);
            let meaning = explain::of_answer(&answer, &report);
            report.with(meaning)
        }
        Err(error) => report.with(explain::of_failure(&error)),
    }
}

impl Report {
    fn with(mut self, meaning: Meaning) -> Self {
        self.meaning = meaning.what;
        self.advice = meaning.advice;
        self
    }
}

/// Waits for a usable credential, or for the first failure to obtain one.
async fn obtained(service: &Service, patience: Duration) -> Result<(), Meaning> {
    let start = Instant::now();
    let Some(store) = service.credential.store() else { return Ok(()) };
    loop {
        if service.credential.is_ready() {
            return Ok(());
        }
        if let Some(error) = store.status().last_error {
            return Err(explain::of_refused_token(&error));
        }
        if start.elapsed() >= patience {
            return Err(explain::of_missing_token(patience));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn token(service: &Service) -> Option<TokenReport> {
    let current = service.credential.store()?.current()?;
    let token = current.as_ref()?;
    Some(TokenReport {
        kind: token.scheme().to_owned(),
        seconds_left: token.expiry.remaining().as_secs(),
        lifetime_seconds: token.expiry.lifetime().as_secs(),
        scope: token.scope.clone(),
        claims: claims::public_claims(token),
    })
}
