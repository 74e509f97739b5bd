//! A trace collector for OTLP over HTTP, whose responses can be scripted to fail.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use serde_json::{Value, json};

use super::assert_eventually;
use super::mock_response::MockResponse;
use super::mock_upstream::MockUpstream;
use super::recorded_request::RecordedRequest;

/// The collector. It accepts every span of both encodings unless a test scripts another response.
pub struct TraceCollector {
    server: MockUpstream,
}

/// A span as it was received.
#[derive(Debug, Clone)]
pub struct TraceSpan(pub Value);

impl TraceSpan {
    /// A member as text; empty if there is none.
    pub fn text(&self, member: &str) -> &str {
        self.0[member].as_str().unwrap_or_default()
    }

    /// The value of an attribute, of any type, as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        let found = self.0["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == key)?;
        let (_, value) = found["value"].as_object()?.iter().next()?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// The code of the status; 0 (unset) may be left out.
    pub fn status_code(&self) -> u64 {
        self.0["status"]["code"].as_u64().unwrap_or_default()
    }

    /// The `traceparent` of this span's children.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.text("traceId"), self.text("spanId"))
    }
}

impl TraceCollector {
    pub async fn start() -> Self {
        Self::on(MockUpstream::plain().await)
    }

    pub fn on(server: MockUpstream) -> Self {
        server.respond_with(|request| response(is_json(request), 0));
        Self { server }
    }

    /// The next response: success, but `count` spans are rejected.
    pub fn next_rejects(&self, count: i64, json: bool) {
        self.server.next(response(json, count));
    }

    /// The value of `tracing.otlp_endpoint`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The underlying server.
    pub fn server(&self) -> &MockUpstream {
        &self.server
    }

    /// Every export that was received completely, as it was sent, whatever the response was.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.server.requests().into_iter().filter(|request| request.complete).collect()
    }

    /// Every export that was received completely, as JSON.
    pub fn exports(&self) -> Vec<Value> {
        self.requests().iter().map(decoded).collect()
    }

    /// Every span of every export.
    pub fn spans(&self) -> Vec<TraceSpan> {
        self.exports().iter().flat_map(spans_of).map(TraceSpan).collect()
    }

    /// The number of spans of each export.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.exports().iter().map(|export| spans_of(export).len()).collect()
    }

    /// Waits for `count` spans of requests and returns them; there may not be more.
    pub async fn request_spans(&self, count: usize) -> Vec<TraceSpan> {
        let requests = || {
            let mut spans = self.spans();
            spans.retain(|span| span.text("name") != "token request");
            spans
        };
        let what = format!("{count} spans of requests");
        assert_eventually(Duration::from_secs(20), &what, async || requests().len() >= count).await;
        let spans = requests();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }

    /// Waits for at least `count` spans of token requests and returns them.
    pub async fn token_spans(&self, count: usize) -> Vec<TraceSpan> {
        let tokens = || {
            let mut spans = self.spans();
            spans.retain(|span| span.text("name") == "token request");
            spans
        };
        let what = format!("{count} spans of token requests");
        assert_eventually(Duration::from_secs(20), &what, async || tokens().len() >= count).await;
        tokens()
    }
}

fn is_json(request: &RecordedRequest) -> bool {
    request.header("content-type") == Some("application/json")
}

fn spans_of(export: &Value) -> Vec<Value> {
    export["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

/// An export as JSON. The test fails if it is not what its `Content-Type` says.
fn decoded(request: &RecordedRequest) -> Value {
    match request.header("content-type") {
        Some("application/json") => serde_json::from_slice(&request.body).expect("JSON"),
        Some("application/x-protobuf") => {
            let export = ExportTraceServiceRequest::decode(request.body.as_slice()).expect("protobuf");
            serde_json::to_value(export).unwrap()
        }
        other => panic!("an export of type {other:?}"),
    }
}

/// A response of success that rejects `count` spans, in the encoding of its request.
fn response(json: bool, count: i64) -> MockResponse {
    if json {
        let partial = json!({ "partialSuccess": { "rejectedSpans": count.to_string() } });
        return MockResponse::json(&if count == 0 { json!({}) } else { partial });
    }
    let partial_success =
        (count > 0).then(|| ExportTracePartialSuccess { rejected_spans: count, ..Default::default() });
    let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    MockResponse::ok(body).header("Content-Type", "application/x-protobuf")
}
