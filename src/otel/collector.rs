//! One export: the request to the collector, and what its answer means (OTLP/HTTP).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use url::Url;

use crate::net::dns::Resolver;
use crate::net::http_client::{ClientOptions, ReloadingClient};
use crate::proto::retry_after::retry_after;
use crate::tls::client::TlsClient;

/// Limit on one export, answer included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Limit on the TCP and TLS handshakes with a collector.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The connection of the last export is kept for the next one for this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Nothing in a larger answer is of interest.
const MAX_BODY: usize = 64 * 1024;
/// Whatever a collector asks for, it is tried again after this long.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A collector, and the way to it.
pub struct Collector {
    url: Url,
    headers: HeaderMap,
    http: ReloadingClient,
}

/// Why an export failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For the log; nothing that the collector wrote.
    pub(crate) message: String,
    /// Whether the same may work later.
    pub(crate) is_passing: bool,
    /// `Retry-After`
    pub(crate) retry_after: Option<Duration>,
}

impl Collector {
    /// The collector that takes traces at `url`; `headers` go with every export.
    pub fn new(url: Url, headers: HeaderMap, tls: Arc<TlsClient>, resolver: Resolver) -> Self {
        let options =
            ClientOptions { connect_timeout: CONNECT_TIMEOUT, keep_idle: Some(IDLE_TIMEOUT), proxy: None };
        Self { url, headers, http: ReloadingClient::new(tls, resolver, options) }
    }

    /// Scheme, host and port, for the log.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Sends one export; says how many of its spans the collector did not want.
    pub(crate) async fn post(&self, body: Bytes) -> Result<u64, Failure> {
        let client = self.http.current().map_err(|error| unanswered(&error))?;
        let request = client.post(self.url.clone()).timeout(TIMEOUT).headers(self.headers.clone());
        let request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut answer = request.body(body).send().await.map_err(|error| unanswered(&error))?;
        if !answer.status().is_success() {
            return Err(refused(answer.status(), answer.headers(), SystemTime::now()));
        }
        let mut body = Vec::new();
        // The spans are taken, whatever becomes of the rest of the answer.
        while let Ok(Some(chunk)) = answer.chunk().await {
            if body.len() + chunk.len() > MAX_BODY {
                return Ok(0);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(rejected(&body))
    }
}

fn unanswered(error: &reqwest::Error) -> Failure {
    let mut cause = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        cause = inner.to_string();
        source = inner.source();
    }
    let what = match () {
        () if error.is_timeout() => "the collector did not answer in time",
        () if error.is_connect() => "cannot connect to the collector",
        () => "the connection to the collector broke",
    };
    let cause: String = cause.chars().filter(|c| !c.is_control()).take(200).collect();
    let message =
        if cause.is_empty() || error.is_timeout() { what.to_owned() } else { format!("{what}: {cause}") };
    Failure { message, is_passing: true, retry_after: None }
}

/// An answer that is none of success.
fn refused(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Failure {
    let is_passing = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    let asked = retry_after(headers, now).map(|wait| wait.min(LONGEST_WAIT));
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            " (`tracing.headers` are what it is to know Sidekey by)"
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            " (`tracing.otlp_endpoint` is to be its address for OTLP over HTTP, usually with port 4318)"
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => " (it must take OTLP as JSON)",
        _ => "",
    };
    let message = format!("the collector answered {}{hint}", status.as_u16());
    Failure { message, is_passing, retry_after: asked.filter(|_| is_passing) }
}

/// `partialSuccess.rejectedSpans` of a success; a 64-bit number, so text or a number.
fn rejected(body: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_not() {
        let of = |status: u16, retry_after: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = retry_after {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
            }
            let failure = refused(StatusCode::from_u16(status).unwrap(), &headers, SystemTime::UNIX_EPOCH);
            (failure.is_passing, failure.retry_after.map(|wait| wait.as_secs()))
        };
        assert_eq!(of(429, Some("7")), (true, Some(7)));
        assert_eq!(of(503, Some("Thu, 01 Jan 1970 00:01:00 GMT")), (true, Some(60)));
        assert_eq!(of(503, Some("99999999")), (true, Some(300)));
        assert_eq!(of(502, None), (true, None));
        assert_eq!(of(504, Some("soon")), (true, None));
        for status in [300, 400, 401, 404, 413, 415, 500] {
            assert_eq!(of(status, Some("7")), (false, None), "{status}");
        }
    }

    #[test]
    fn a_success_may_be_of_a_part_only() {
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":"12","errorMessage":"x"}}"#), 12);
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":3}}"#), 3);
        for body in ["", "{}", "<html>", "[]", r#"{"partialSuccess":{"rejectedSpans":-1}}"#] {
            assert_eq!(rejected(body.as_bytes()), 0, "{body}");
        }
    }
}
