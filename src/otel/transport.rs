//! One HTTP request of the SDK's exporter, sent by Sidekey's client.
//!
//! The SDK decides what is sent and when it is sent again. The client decides about TLS, names and headers, as for every
//! request that Sidekey makes for itself. What the SDK does not report is observed here: the cause of a failure, `Retry-After`,
//! and the number of spans that the collector rejected.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use url::Url;

use super::batch_progress::BatchProgress;
use super::export_error;
use crate::config::OtlpProtocol;
use crate::net::http_client::ReloadingClient;
use crate::proto::retry_after::retry_after;

/// Limit on one request, response included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit on a response body. A larger one says nothing of interest.
const MAX_RESPONSE_BODY: usize = 64 * 1024;

/// The connection to one collector.
pub(super) struct Transport {
    url: Url,
    protocol: OtlpProtocol,
    /// Header fields of every request; their values may be secret.
    headers: HeaderMap,
    http: ReloadingClient,
    progress: Arc<BatchProgress>,
    /// Whether the last request failed.
    is_failing: AtomicBool,
}

impl Transport {
    pub(super) fn new(
        url: Url,
        protocol: OtlpProtocol,
        headers: HeaderMap,
        http: ReloadingClient,
        progress: Arc<BatchProgress>,
    ) -> Self {
        Self { url, protocol, headers, http, progress, is_failing: AtomicBool::new(false) }
    }

    async fn post(&self, request: Request<Bytes>) -> reqwest::Result<reqwest::Response> {
        // Of the SDK's header fields only the type is used. The others are its user agent, and what it reads from the
        // environment although `tracing.headers` may replace it.
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let mut headers = self.headers.clone();
        headers.extend(content_type.map(|value| (header::CONTENT_TYPE, value)));
        let client = self.http.current()?;
        let post = client.post(self.url.clone()).timeout(REQUEST_TIMEOUT).headers(headers);
        post.body(request.into_body()).send().await
    }

    /// The response to a failed request, for the SDK's decision whether to retry.
    fn failed(&self, response: &reqwest::Response) -> Response<Bytes> {
        self.log_failed(&export_error::rejected(response.status()));
        self.progress.fail_attempt(retry_after(response.headers(), SystemTime::now()));
        // Without its body, which may repeat what was sent.
        let mut failed = Response::new(Bytes::new());
        *failed.status_mut() = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
        failed.headers_mut().extend(retry_after.map(|value| (header::RETRY_AFTER, value)));
        failed
    }

    /// The response to a successful request.
    async fn succeeded(&self, response: reqwest::Response) -> Response<Bytes> {
        self.log_recovered();
        let status = response.status();
        let body = read_body(response).await;
        self.progress.accept(rejected_spans(self.protocol, &body));
        let mut succeeded = Response::new(body);
        *succeeded.status_mut() = status;
        succeeded
    }

    /// Logs a failure, once until the next success.
    fn log_failed(&self, cause: &str) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                collector.origin = self.url.origin().ascii_serialization(),
                "traces are not exported: {cause}; requests are not delayed, and the export is tried again"
            );
        }
    }

    /// Logs the first success after a failure.
    fn log_recovered(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            let origin = self.url.origin().ascii_serialization();
            tracing::info!(collector.origin = origin, "traces are exported again");
        }
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.progress.begin_attempt().await;
        match self.post(request).await {
            Ok(response) if response.status().is_success() => Ok(self.succeeded(response).await),
            Ok(response) => Ok(self.failed(&response)),
            Err(error) => {
                let cause = export_error::no_response(&error);
                self.log_failed(&cause);
                self.progress.fail_attempt(None);
                Err(cause.into())
            }
        }
    }
}

/// The SDK requires it. The headers are left out, because they may be secret.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// The body of a response; empty if it cannot be read or is too large. The spans are accepted all the same.
async fn read_body(mut response: reqwest::Response) -> Bytes {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MAX_RESPONSE_BODY {
            return Bytes::new();
        }
        body.extend_from_slice(&chunk);
    }
    body.into()
}

/// `partial_success.rejected_spans` of a response of success.
fn rejected_spans(protocol: OtlpProtocol, body: &[u8]) -> u64 {
    match protocol {
        OtlpProtocol::HttpProtobuf => {
            let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
            response.partial_success.and_then(|partial| partial.rejected_spans.try_into().ok())
        }
        // By the JSON mapping of protobuf a 64-bit number is text or a number. The SDK's types read only the latter.
        OtlpProtocol::HttpJson => {
            let response: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            let rejected = &response["partialSuccess"]["rejectedSpans"];
            rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok())
        }
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn rejected_spans_are_read_from_protobuf() {
        let response = |rejected_spans| {
            let partial_success =
                Some(ExportTracePartialSuccess { rejected_spans, error_message: "x".into() });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        };
        let read = |body: &[u8]| rejected_spans(OtlpProtocol::HttpProtobuf, body);
        assert_eq!((read(&response(12)), read(&response(0)), read(&response(-1))), (12, 0, 0));
        for body in [&b""[..], b"{}", b"<html>", &[0xff; 4]] {
            assert_eq!(read(body), 0, "{body:?}");
        }
    }

    #[test]
    fn rejected_spans_are_read_from_json() {
        let read = |body: &str| rejected_spans(OtlpProtocol::HttpJson, body.as_bytes());
        assert_eq!(read(r#"{"partialSuccess":{"rejectedSpans":"12","errorMessage":"x"}}"#), 12);
        assert_eq!(read(r#"{"partialSuccess":{"rejectedSpans":3}}"#), 3);
        for body in ["", "{}", "<html>", "[]", r#"{"partialSuccess":{"rejectedSpans":-1}}"#] {
            assert_eq!(read(body), 0, "{body}");
        }
    }
}
