//! gRPC as far as a proxy of HTTP looks at it: which messages are gRPC, and the status for a credential that the
//! server does not accept.

use httparse::Header;

const CONTENT_TYPE: &str = "content-type";
const GRPC: &[u8] = b"application/grpc";
const STATUS: &str = "grpc-status";
/// UNAUTHENTICATED: what 401 is in HTTP.
const UNAUTHENTICATED: &[u8] = b"16";

/// Whether a field is a `Content-Type` of gRPC: `application/grpc`, `application/grpc+proto`,
/// `application/grpc-web` and so on.
#[inline]
pub fn is_content_type(field: &Header<'_>) -> bool {
    // The length comes first: it decides for most fields.
    field.name.len() == CONTENT_TYPE.len()
        && field.value.len() >= GRPC.len()
        && field.value[..GRPC.len()].eq_ignore_ascii_case(GRPC)
        && field.name.eq_ignore_ascii_case(CONTENT_TYPE)
}

/// Whether a field is `grpc-status: 16`.
#[inline]
pub fn is_unauthenticated(field: &Header<'_>) -> bool {
    field.name.len() == STATUS.len()
        && field.value.trim_ascii() == UNAUTHENTICATED
        && field.name.eq_ignore_ascii_case(STATUS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_grpc_are_recognized() {
        let is = |value: &str| is_content_type(&Header { name: "Content-Type", value: value.as_bytes() });
        for value in
            ["application/grpc", "application/grpc+proto", "application/grpc;x", "Application/GRPC-Web-Text"]
        {
            assert!(is(value), "{value}");
        }
        assert!(!is("application/json") && !is("application/gr") && !is(""));
        let is = |name, value: &str| is_unauthenticated(&Header { name, value: value.as_bytes() });
        assert!(is("grpc-status", "16") && is("Grpc-Status", "16 "));
        assert!(!is("grpc-status", "1") && !is("grpc-status", "160") && !is("grpc-message", "16"));
    }
}
