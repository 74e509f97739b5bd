//! A decorator that records token requests as spans, so that no grant has to.
//!
//! A token request is not part of a caller's request, so each one is a separate trace. There are few of them,
//! and failed ones matter most: all are recorded, whatever the sample ratio.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use url::Url;

use crate::config::OAuth2;
use crate::oauth2::source::token_source::TokenSource;
use crate::oauth2::token::TokenResponse;
use crate::otel::{CurrentTracer, Span, Tracer, Value};
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::Secret;

/// What is recorded of every token request of a credential.
pub struct RequestKind {
    /// The kind of the credential.
    pub credential: &'static str,
    /// The grant (RFC 6749), if there is one.
    pub grant: Option<&'static str>,
    /// The method of the request.
    pub method: &'static str,
    /// The token endpoint, or the issuer whose metadata names it.
    pub server: Option<Url>,
}

impl RequestKind {
    /// Token requests of a configuration, for a credential of this kind.
    pub fn of(credential: &'static str, config: &OAuth2) -> Self {
        Self {
            credential,
            grant: Some(config.grant.as_str()),
            method: "POST",
            server: Url::parse(config.token_url.as_str()).ok(),
        }
    }
}

/// A source whose requests are recorded while tracing is enabled.
pub struct WithTracing<S> {
    inner: S,
    traces: Arc<CurrentTracer>,
    /// The services that use the token.
    services: String,
    kind: RequestKind,
    /// Number of consecutive failed requests.
    failures: AtomicU32,
}

impl<S> WithTracing<S> {
    /// Wraps a source.
    pub fn new(inner: S, kind: RequestKind, services: String, traces: Arc<CurrentTracer>) -> Self {
        Self { inner, traces, services, kind, failures: AtomicU32::new(0) }
    }

    fn attributes(
        &self,
        result: &Result<TokenResponse, SourceError>,
        attempt: u32,
    ) -> Vec<(&'static str, Value)> {
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("http.request.method", self.kind.method.into()),
            ("sidekey.service", self.services.clone().into()),
            ("sidekey.credential", self.kind.credential.into()),
            ("sidekey.token.attempt", attempt.into()),
        ];
        attributes.extend(self.kind.grant.map(|grant| ("sidekey.token.grant_type", grant.into())));
        if let Some(server) = &self.kind.server {
            attributes.push(("url.scheme", server.scheme().to_owned().into()));
            let host = server.host_str().map(|host| host.trim_matches(['[', ']']).to_owned());
            attributes.extend(host.map(|host| ("server.address", host.into())));
            attributes.extend(server.port_or_known_default().map(|port| ("server.port", port.into())));
        }
        match result.as_ref().map(|response| &response.access) {
            Ok(Ok(issued)) => {
                let lifetime = i64::try_from(issued.expiry.remaining().as_secs()).unwrap_or(i64::MAX);
                attributes.push(("sidekey.token.result", "success".into()));
                attributes.push(("sidekey.token.lifetime_s", Value::Number(lifetime)));
            }
            Ok(Err(error)) | Err(error) => {
                attributes.push(("sidekey.token.result", "failure".into()));
                attributes.push(("error.type", error.kind.as_str().into()));
                let code = error.code.as_ref().map(|code| code.as_str().to_owned());
                attributes.extend(code.map(|code| ("sidekey.token.error_code", code.into())));
            }
        }
        attributes
    }

    fn record(
        &self,
        tracer: &Tracer,
        began: (SystemTime, Instant),
        result: &Result<TokenResponse, SourceError>,
        attempt: u32,
    ) {
        tracer.record(Span {
            context: tracer.root(),
            name: "token request",
            start: began.0,
            took: began.1.elapsed(),
            attributes: self.attributes(result, attempt),
            error: TokenResponse::failure(result).map(|error| error.message.clone()),
        });
    }
}

#[async_trait]
impl<S: TokenSource> TokenSource for WithTracing<S> {
    async fn request_token(&self, refresh_token: Option<&Secret>) -> Result<TokenResponse, SourceError> {
        let began = (SystemTime::now(), Instant::now());
        let result = self.inner.request_token(refresh_token).await;
        if result.as_ref().is_err_and(|error| error.kind == SourceErrorKind::LoginRequired) {
            // No request was sent.
            return result;
        }
        let attempt = match TokenResponse::failure(&result) {
            None => self.failures.swap(0, Ordering::Relaxed),
            Some(_) => self.failures.fetch_add(1, Ordering::Relaxed),
        };
        if let Some(tracer) = self.traces.get() {
            self.record(&tracer, began, &result, attempt.saturating_add(1));
        }
        result
    }
}
