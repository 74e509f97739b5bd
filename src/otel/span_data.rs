//! A span as a record of OpenTelemetry's SDK.

use std::time::UNIX_EPOCH;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::span::{Span, Value};

/// The scope of all spans: Sidekey itself.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("sidekey").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// The SDK's record of a span.
pub(super) fn span_data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let context = &span.context;
    let start_time = span.start.max(UNIX_EPOCH);
    let status = span.error.map_or(Status::Unset, Status::error);
    SpanData {
        span_context: SpanContext::new(
            TraceId::from_bytes(context.trace_id.0),
            SpanId::from_bytes(context.span_id.0),
            TraceFlags::new(context.flags),
            false,
            TraceState::NONE,
        ),
        parent_span_id: context.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.0)),
        // A parent is what a caller's `traceparent` names, so it is another process.
        parent_span_is_remote: context.parent.is_some(),
        span_kind: SpanKind::Client,
        name: span.name.into(),
        start_time,
        end_time: start_time.checked_add(span.took).unwrap_or(start_time),
        attributes: span.attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: scope.clone(),
    }
}

impl From<Value> for opentelemetry::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => text.into(),
            Value::Number(number) => number.into(),
            Value::Bool(value) => value.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::otel::context;

    fn span(context: context::Context, error: Option<String>) -> Span {
        let attributes = vec![
            ("url.path", "/x".to_owned().into()),
            ("http.response.status_code", 502_u16.into()),
            ("sidekey.replayed", true.into()),
        ];
        let start = UNIX_EPOCH + Duration::from_nanos(1_544_712_660_000_000_000);
        Span { context, name: "GET", start, took: Duration::from_millis(1500), attributes, error }
    }

    #[test]
    fn span_data_of_a_continued_trace_has_a_remote_parent() {
        let parent =
            context::Parent::parse(b"00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b173-03").unwrap();
        let own = context::SpanId([0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]);
        let span = span(context::Context::child(&parent, own), Some("no connection".into()));
        let data = span_data(span, &scope());
        assert_eq!(data.span_context.trace_id().to_string(), "5b8efff798038103d269b633813fc60c");
        assert_eq!(data.span_context.span_id().to_string(), "eee19b7ec3c1b174");
        assert_eq!(data.span_context.trace_flags().to_u8(), 3);
        assert_eq!(data.parent_span_id.to_string(), "eee19b7ec3c1b173");
        assert!(data.parent_span_is_remote);
        assert_eq!((data.name.as_ref(), data.span_kind), ("GET", SpanKind::Client));
        assert_eq!(data.end_time, data.start_time + Duration::from_millis(1500));
        assert_eq!(data.status, Status::error("no connection"));
        let expected = [
            KeyValue::new("url.path", "/x"),
            KeyValue::new("http.response.status_code", 502),
            KeyValue::new("sidekey.replayed", true),
        ];
        assert_eq!(data.attributes, expected);
        let scope = data.instrumentation_scope;
        assert_eq!((scope.name(), scope.version()), ("sidekey", Some(env!("CARGO_PKG_VERSION"))));
    }

    #[test]
    fn span_data_of_a_root_has_no_parent() {
        let root = context::Context::root(context::TraceId([1; 16]), context::SpanId([2; 8]));
        let before_1970 = Span { start: UNIX_EPOCH - Duration::from_secs(1), ..span(root, None) };
        let data = span_data(before_1970, &scope());
        assert_eq!((data.parent_span_id, data.parent_span_is_remote), (SpanId::INVALID, false));
        assert_eq!((data.start_time, data.status), (UNIX_EPOCH, Status::Unset));
        // A failure may be told by an attribute alone.
        assert_eq!(span_data(span(root, Some(String::new())), &scope()).status, Status::error(""));
    }
}
