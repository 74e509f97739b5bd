//! What a gRPC client is told when Sidekey itself cannot serve: a status of its own protocol, because many show nothing of
//! an HTTP error's body.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

const ERROR: HeaderName = HeaderName::from_static("sidekey-error");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is a gRPC call (`application/grpc`, `application/grpc+proto` and their like; not gRPC-Web).
pub(crate) fn is_call(fields: &HeaderMap) -> bool {
    let kind = fields.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    kind.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}

/// Turns an answer of Sidekey's own into one without body whose head says it all ("Trailers-Only"); leaves an upstream's
/// as it is. Only Sidekey's own have `Sidekey-Error`.
pub(crate) fn explain(answer: &mut Response<()>) -> bool {
    let Some(reason) = answer.headers().get(&ERROR).cloned() else { return false };
    let status = status(reason.as_bytes());
    let message = [b"sidekey: ", reason.as_bytes()].concat();
    *answer.status_mut() = StatusCode::OK;
    let fields = answer.headers_mut();
    fields.remove(CONTENT_LENGTH);
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields.insert(STATUS, HeaderValue::from_static(status));
    if let Ok(message) = HeaderValue::from_bytes(&message) {
        fields.insert(MESSAGE, message);
    }
    true
}

/// The gRPC status code for a reason.
fn status(reason: &[u8]) -> &'static str {
    match reason {
        b"unknown_service" => "12", // UNIMPLEMENTED
        b"forbidden" => "7",        // PERMISSION_DENIED
        b"bad_request" => "13",     // INTERNAL
        b"upstream_timeout" => "4", // DEADLINE_EXCEEDED: so it may here
        b"too_large" => "8",        // RESOURCE_EXHAUSTED
        _ => "14",                  // UNAVAILABLE, as gRPC itself says of a connection that breaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_call_by_its_content_type() {
        let is = |kind: &'static str| {
            is_call(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc;x"));
        assert!(!is("application/grpc-web") && !is("application/json") && !is_call(&HeaderMap::new()));
    }

    #[test]
    fn an_upstreams_answer_stays_as_it_is() {
        let mut answer = Response::builder().status(503).body(()).unwrap();
        assert!(!explain(&mut answer));
        assert_eq!(answer.status(), 503);
    }

    #[test]
    fn sidekeys_own_says_it_all_in_its_head() {
        let mut answer = Response::builder()
            .status(503)
            .header(ERROR, "credential_unavailable")
            .header("retry-after", "5");
        answer = answer.header(CONTENT_LENGTH, "99");
        let mut answer = answer.body(()).unwrap();
        assert!(explain(&mut answer));
        assert_eq!((answer.status(), &answer.headers()[STATUS]), (StatusCode::OK, &"14".parse().unwrap()));
        assert_eq!(answer.headers()[MESSAGE], "sidekey: credential_unavailable");
        assert!(answer.headers().get(CONTENT_LENGTH).is_none() && answer.headers()["retry-after"] == "5");
    }
}
