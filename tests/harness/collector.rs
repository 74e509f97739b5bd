//! A collector of traces: takes OTLP/JSON, and can be told to fail in every way one fails.

use std::time::Duration;

use serde_json::Value;

use super::answer::Answer;
use super::assert_eventually;
use super::upstream::Upstream;

/// The collector. Answers `{}`, as one does that took everything, until it is told otherwise.
pub struct TraceCollector {
    server: Upstream,
}

/// A span as it was sent.
#[derive(Debug, Clone)]
pub struct TraceSpan(pub Value);

impl TraceSpan {
    /// A member, as text; empty where there is none.
    pub fn text(&self, member: &str) -> &str {
        self.0[member].as_str().unwrap_or_default()
    }

    /// An attribute: its value, whatever its type is, as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        let found = self.0["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == key)?;
        let (_, value) = found["value"].as_object()?.iter().next()?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// `traceparent` as whoever this span is the parent of has it.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.text("traceId"), self.text("spanId"))
    }
}

impl TraceCollector {
    pub async fn start() -> Self {
        Self::on(Upstream::plain().await)
    }

    pub fn on(server: Upstream) -> Self {
        server.always(Answer::json(&Value::Object(serde_json::Map::new())));
        Self { server }
    }

    /// As `tracing.otlp_endpoint` has it.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The server below.
    pub fn server(&self) -> &Upstream {
        &self.server
    }

    /// Every export that came whole, whatever was answered to it.
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

    /// The spans of requests, once there are so many.
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

    /// The spans of token requests, once there are at least so many.
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
