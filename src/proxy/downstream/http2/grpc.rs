//! Errors of Sidekey for gRPC clients: a gRPC status in the head, because many clients do not show the body
//! of an HTTP error.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

const ERROR: HeaderName = HeaderName::from_static("sidekey-error");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is a gRPC call (`application/grpc`, `application/grpc+proto` and so on; not gRPC-Web).
pub(crate) fn is_call(fields: &HeaderMap) -> bool {
    let kind = fields.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    kind.strip_prefix(b"application/grpc").is_some_and(|suffix| matches!(suffix, [] | [b'+' | b';', ..]))
}

/// Turns an error response of Sidekey into a gRPC response without a body ("Trailers-Only"). Returns whether
/// it did: a response of the upstream, which has no `Sidekey-Error`, is unchanged.
pub(crate) fn explain(response: &mut Response<()>) -> bool {
    let Some(reason) = response.headers().get(&ERROR).cloned() else { return false };
    let status = status(reason.as_bytes());
    let message = [b"sidekey: ", reason.as_bytes()].concat();
    *response.status_mut() = StatusCode::OK;
    let fields = response.headers_mut();
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
        b"unknown_service" => "12",      // UNIMPLEMENTED
        b"forbidden" | b"denied" => "7", // PERMISSION_DENIED
        b"unauthenticated" => "16",      // UNAUTHENTICATED
        b"bad_request" => "13",          // INTERNAL
        b"upstream_timeout" => "4",      // DEADLINE_EXCEEDED: the call may have been processed
        b"too_large" => "8",             // RESOURCE_EXHAUSTED
        _ => "14",                       // UNAVAILABLE, as for a lost connection in gRPC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_call_depends_on_content_type() {
        let is = |kind: &'static str| {
            is_call(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc;x"));
        assert!(!is("application/grpc-web") && !is("application/json") && !is_call(&HeaderMap::new()));
    }

    #[test]
    fn upstream_response_is_unchanged() {
        let mut response = Response::builder().status(503).body(()).unwrap();
        assert!(!explain(&mut response));
        assert_eq!(response.status(), 503);
    }

    #[test]
    fn error_response_becomes_trailers_only_grpc_status() {
        let mut response = Response::builder()
            .status(503)
            .header(ERROR, "credential_unavailable")
            .header("retry-after", "5")
            .header(CONTENT_LENGTH, "99")
            .body(())
            .unwrap();
        assert!(explain(&mut response));
        assert_eq!(
            (response.status(), &response.headers()[STATUS]),
            (StatusCode::OK, &"14".parse().unwrap())
        );
        assert_eq!(response.headers()[MESSAGE], "sidekey: credential_unavailable");
        assert!(response.headers().get(CONTENT_LENGTH).is_none() && response.headers()["retry-after"] == "5");
    }
}
