//! The identifier by which a request is found in the logs of caller, Sidekey and upstream.
//!
//! It is the caller's `X-Request-Id`, or the trace of its `traceparent`. A request that fails without either gets one that is made
//! for the failure. A request that succeeds is not searched for one, unless the access log is on.

use std::fmt;

use crate::credential::Owned;
use crate::otel::Parent;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::HeaderBuffer;

const X_REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";

/// The length of the longest identifier that is accepted, in bytes.
const MAX_LENGTH: usize = 128;

/// An identifier: visible ASCII that needs no escape in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestId(Box<str>);

impl RequestId {
    /// The identifier that the fields of a request have. A field that holds the service's credential is not read.
    pub(super) fn of(fields: &[httparse::Header<'_>], owned: &Owned) -> Option<Self> {
        let value = |name: &str| {
            let mut named = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            named.next().filter(|_| !owned.owns_header(name)).map(|field| field.value.trim_ascii())
        };
        let own =
            value(X_REQUEST_ID).filter(|value| is_valid(value)).and_then(|value| str::from_utf8(value).ok());
        own.map(|value| Self(value.into())).or_else(|| {
            let parent = value(TRACEPARENT).and_then(Parent::parse)?;
            Some(Self(parent.trace_id.to_string().into()))
        })
    }

    /// The identifier in the head of a request as it was written for the upstream.
    pub(super) fn of_written(head: &[u8], owned: &Owned) -> Option<Self> {
        let mut buffer = HeaderBuffer::new();
        Self::of(parse_head::request(head, &mut buffer).ok()?.fields, owned)
    }

    /// A new identifier, in the form of that of a trace.
    pub(super) fn generate() -> Self {
        Self(format!("{:032x}", fastrand::u128(1..)).into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_valid(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~:+/=@,;|".contains(byte);
    (1..=MAX_LENGTH).contains(&value.len()) && value.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&str, &str)], owned: &Owned) -> Option<String> {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| httparse::Header { name, value: value.as_bytes() }).collect();
        RequestId::of(&fields, owned).map(|id| id.to_string())
    }

    #[test]
    fn request_id_is_the_callers_or_that_of_its_trace() {
        let owned = Owned::authorization();
        let trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let id = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
        assert_eq!(of(&[trace, ("X-Request-ID", " a1-b2 ")], &owned), Some("a1-b2".into()));
        assert_eq!(of(&[trace], &owned), id);
        let long = "x".repeat(MAX_LENGTH + 1);
        for unusable in ["", "a b", "a\"b", "a\\b", "é", "<b>", &long] {
            assert_eq!(of(&[("X-Request-Id", unusable), trace], &owned), id, "{unusable}");
        }
        assert_eq!(of(&[("traceparent", "00-0-0-0"), ("Accept", "*/*")], &owned), None);
    }

    #[test]
    fn credential_is_not_read_as_request_id() {
        let owned = Owned::authorization().with_header(http::HeaderName::from_static(X_REQUEST_ID));
        assert_eq!(of(&[("X-Request-Id", "s3cret")], &owned), None);
    }

    #[test]
    fn generated_request_ids_differ() {
        let [one, other] = [RequestId::generate(), RequestId::generate()];
        assert_ne!(one, other);
        assert!(is_valid(one.as_str().as_bytes()) && one.as_str().len() == 32);
    }
}
