//! Spans as OTLP/JSON: `ExportTraceServiceRequest` by the JSON mapping of protobuf, but with identifiers in hexadecimal
//! (OpenTelemetry Protocol, «JSON Protobuf Encoding»). 64-bit numbers are text, enumerations are numbers.

use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};

use super::span::{Span, Value};

/// `SPAN_KIND_CLIENT`
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`
const ERROR: u8 = 2;

/// The body of one export. `resource` says whose spans they are.
pub(crate) fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let attribute = |(key, value): &(String, String)| Attribute {
        key: key.clone(),
        value: AnyValue::Text(value.clone()),
    };
    let request = Request {
        resource_spans: [ResourceSpans {
            resource: Resource { attributes: resource.iter().map(attribute).collect() },
            scope_spans: [ScopeSpans {
                scope: Scope { name: "sidekey", version: env!("CARGO_PKG_VERSION") },
                spans: spans.iter().map(Encoded::of).collect(),
            }],
        }],
    };
    serde_json::to_vec(&request).expect("text, numbers and lists")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'s> {
    resource_spans: [ResourceSpans<'s>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'s> {
    resource: Resource,
    scope_spans: [ScopeSpans<'s>; 1],
}

#[derive(Serialize)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Serialize)]
struct ScopeSpans<'s> {
    scope: Scope,
    spans: Vec<Encoded<'s>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Encoded<'s> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    flags: u32,
    name: &'s str,
    kind: u8,
    #[serde(serialize_with = "as_text")]
    start_time_unix_nano: u128,
    #[serde(serialize_with = "as_text")]
    end_time_unix_nano: u128,
    attributes: Vec<Attribute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'s>>,
}

impl<'s> Encoded<'s> {
    fn of(span: &'s Span) -> Self {
        let context = &span.context;
        let since = span.start.duration_since(UNIX_EPOCH).unwrap_or_default();
        // The parent's place is known (bit 8), and it is another process (bit 9).
        let remote = if context.parent.is_some() { 0x300 } else { 0x100 };
        let attribute = |(key, value): &(&'static str, Value)| Attribute {
            key: (*key).to_owned(),
            value: AnyValue::of(value),
        };
        Self {
            trace_id: context.trace_id.to_string(),
            span_id: context.span_id.to_string(),
            parent_span_id: context.parent.map(|parent| parent.to_string()),
            flags: u32::from(context.flags) | remote,
            name: span.name,
            kind: CLIENT,
            start_time_unix_nano: since.as_nanos(),
            end_time_unix_nano: (since + span.took).as_nanos(),
            attributes: span.attributes.iter().map(attribute).collect(),
            status: span.error.as_deref().map(|message| Status { code: ERROR, message }),
        }
    }
}

#[derive(Serialize)]
struct Attribute {
    key: String,
    value: AnyValue,
}

#[derive(Serialize)]
enum AnyValue {
    #[serde(rename = "stringValue")]
    Text(String),
    /// A 64-bit number, so text.
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Bool(bool),
}

impl AnyValue {
    fn of(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.clone().into_owned()),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::Bool(value) => Self::Bool(*value),
        }
    }
}

#[derive(Serialize)]
struct Status<'s> {
    code: u8,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'s str,
}

fn as_text<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::otel::context::{Context, Parent, SpanId, TraceId};

    #[test]
    fn a_span_has_the_names_and_forms_of_the_specification() {
        let parent = Parent::parse(b"00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b173-01").unwrap();
        let failed = Span {
            context: Context::below(&parent, SpanId([0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74])),
            name: "GET",
            start: UNIX_EPOCH + Duration::from_nanos(1_544_712_660_000_000_000),
            took: Duration::from_millis(1500),
            attributes: vec![
                ("url.path", "/x".into()),
                ("http.response.status_code", 502_u16.into()),
                ("sidekey.replayed", true.into()),
            ],
            error: Some("no connection".into()),
        };
        let root = Span {
            context: Context::root(TraceId([1; 16]), SpanId([2; 8])),
            name: "token request",
            start: UNIX_EPOCH + Duration::from_nanos(1),
            took: Duration::ZERO,
            attributes: Vec::new(),
            error: None,
        };
        let resource = [("service.name".to_owned(), "sidekey".to_owned())];
        let encoded: serde_json::Value =
            serde_json::from_slice(&request(&resource, &[failed, root])).unwrap();
        assert_eq!(
            encoded,
            json!({ "resourceSpans": [{
                "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "sidekey" } }] },
                "scopeSpans": [{
                    "scope": { "name": "sidekey", "version": env!("CARGO_PKG_VERSION") },
                    "spans": [
                        {
                            "traceId": "5b8efff798038103d269b633813fc60c",
                            "spanId": "eee19b7ec3c1b174",
                            "parentSpanId": "eee19b7ec3c1b173",
                            "flags": 0x301,
                            "name": "GET",
                            "kind": 3,
                            "startTimeUnixNano": "1544712660000000000",
                            "endTimeUnixNano": "1544712661500000000",
                            "attributes": [
                                { "key": "url.path", "value": { "stringValue": "/x" } },
                                { "key": "http.response.status_code", "value": { "intValue": "502" } },
                                { "key": "sidekey.replayed", "value": { "boolValue": true } },
                            ],
                            "status": { "code": 2, "message": "no connection" },
                        },
                        {
                            "traceId": "01010101010101010101010101010101",
                            "spanId": "0202020202020202",
                            "flags": 0x101,
                            "name": "token request",
                            "kind": 3,
                            "startTimeUnixNano": "1",
                            "endTimeUnixNano": "1",
                            "attributes": [],
                        },
                    ],
                }],
            }] })
        );
    }
}
