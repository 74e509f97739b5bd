//! A trace collector for OTLP/JSON, whose responses can be scripted to fail.

use std::time::Duration;

use serde_json::Value;

use super::assert_eventually;
use super::mock_response::MockResponse;
use super::mock_upstream::MockUpstream;

/// The collector. It responds `{}` (everything accepted) unless a test scripts another response.
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
        server.always(MockResponse::json(&Value::Object(serde_json::Map::new())));
        Self { server }
    }

    /// The value of `tracing.otlp_endpoint`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The underlying server.
    pub fn server(&self) -> &MockUpstream {
        &self.server
    }

    /// Every export that was received completely, whatever the response was.
    pub fn exports(&self) -> Vec<Value> {
        let whole = self.server.requests().into_iter().filter(|request| request.complete);
        whole.map(|request| serde_json::from_slice(&request.body).expect("JSON")).collect()
    }

    /// Every span of every export.
    pub fn spans(&self) -> Vec<TraceSpan> {
        let spans =
            |export: &Value| export["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        self.exports().iter().flat_map(spans).map(TraceSpan).collect()
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
