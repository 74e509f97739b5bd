//! A test of one service: obtains its credential, calls its upstream once, and explains the outcome.

use std::time::{Duration, Instant};

use super::report::{Diagnosis, TestReport, TokenReport};
use super::{explain, probe};
use crate::oauth2::claims;
use crate::runtime::base_path::escapes_base_path;
use crate::runtime::service::Service;
use crate::upstream::Endpoint;

/// Tests a service: waits for its credential, `token_limit` at most, and requests `path` (which begins with `/`) below the path
/// of its upstream. If the upstream is a wildcard, `path` is the whole URL of one of its hosts.
pub async fn test_service(service: &Service, path: &str, token_limit: Duration) -> TestReport {
    if let Some(to) = service.upstream.pick() {
        return call(service, to, path, token_limit).await;
    }
    let named = service.upstream.wildcard().and_then(|upstream| upstream.at_url(path));
    match named.filter(|(_, path)| !escapes_base_path(path)) {
        Some((to, path)) => call(service, &to, path, token_limit).await,
        None => new_report(service, service.upstream_url.clone())
            .with(explain::names_no_host(&service.upstream_url)),
    }
}

fn new_report(service: &Service, url: String) -> TestReport {
    TestReport {
        service: service.name.clone(),
        credential: service.auth.kinds(),
        token: None,
        method: "GET".into(),
        url,
        status: None,
        duration_ms: None,
        challenges: Vec::new(),
        ok: false,
        summary: String::new(),
        suggestions: Vec::new(),
    }
}

/// Waits for the credential, and calls one endpoint.
async fn call(service: &Service, to: &Endpoint, path: &str, token_limit: Duration) -> TestReport {
    let bare_path = path.split('?').next().unwrap_or_default();
    let mut report = new_report(service, to.url() + bare_path);
    if let Err(diagnosis) = await_credential(service, token_limit).await {
        return report.with(diagnosis).warned(service);
    }
    report.token = token(service);
    let start = Instant::now();
    match probe::get(service, to, path).await {
        Ok(answer) => {
            report.status = Some(answer.status);
            report.duration_ms = u64::try_from(start.elapsed().as_millis()).ok();
            report.ok = answer.status < 400;
            report.challenges = answer.challenges.iter().map(|word| (*word).to_owned()).collect();
            let diagnosis = explain::responded(&answer, &service.auth, &report);
            // Requests that failed before say nothing any more.
            service.upstream.record_response(to, answer.status);
            report.with(diagnosis).warned(service)
        }
        Err(error) => report.with(explain::request_failed(&error)).warned(service),
    }
}

/// Waits for a usable credential, or for the first failure to obtain one.
async fn await_credential(service: &Service, token_limit: Duration) -> Result<(), Diagnosis> {
    if service.credential.caller_tokens().is_some() {
        return Err(explain::needs_caller());
    }
    let Some(store) = service.credential.store() else { return Ok(()) };
    let is_decided = || service.credential.is_ready() || store.status().last_error.is_some();
    // If the limit is reached, neither is the case.
    let _ = tokio::time::timeout(token_limit, store.wait_until(&is_decided)).await;
    if service.credential.is_ready() {
        return Ok(());
    }
    match store.status().last_error {
        Some(error) => Err(explain::token_refused(&error, &service.auth)),
        None => Err(explain::token_missing(token_limit)),
    }
}

fn token(service: &Service) -> Option<TokenReport> {
    let current = service.credential.token_store()?.current()?;
    let token = current.as_ref()?;
    Some(TokenReport {
        kind: token.scheme().to_owned(),
        expires_in_seconds: token.expiry.remaining().as_secs(),
        lifetime_seconds: token.expiry.lifetime().as_secs(),
        scope: token.scope.clone(),
        claims: claims::public_claims(token),
    })
}
