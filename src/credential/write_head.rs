//! The one writer of an upstream's request head: no head is written without a credential.
//!
//! Fields are copied byte for byte, in their order and case. The credential is written last, and what a
//! caller sent in its place is omitted.

use super::{CredentialVersion, Injection, NotReady, OutboundRequest, SentSecrets, Signer};
use crate::proto::fields::HeaderClass;

/// The fields that Sidekey writes itself: those of the upstream's connection, and `traceparent`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionFields<'a> {
    /// Whether the body has chunked coding.
    pub is_chunked: bool,
    /// Whether the request is for a WebSocket (RFC 6455).
    pub is_websocket: bool,
    /// Whether the caller accepts trailers.
    pub wants_trailers: bool,
    /// Whether the connection is closed after the response.
    pub is_last: bool,
    /// The `traceparent` that replaces the caller's.
    pub traceparent: Option<&'a str>,
    /// The `Max-Forwards` that takes the place of the caller's.
    pub max_forwards: Option<u64>,
    /// The value that is added to `Via`.
    pub via: Option<&'a str>,
}

/// Signs a request and writes its head to the end of `out`. Returns what must be masked in the response beside what the signer masks.
///
/// # Errors
///
/// [`NotReady`] if there is no usable credential; `out` is then unchanged.
pub fn write_signed_head(
    out: &mut Vec<u8>,
    signer: &dyn Signer,
    request: &OutboundRequest<'_>,
    connection: ConnectionFields<'_>,
) -> Result<(CredentialVersion, SentSecrets), NotReady> {
    let mut injection = Injection::default();
    let version = signer.sign(request, &mut injection)?;
    put(out, &[request.method.as_bytes(), b" "]);
    target(out, request, &injection);
    put(out, &[b" HTTP/1.1\r\nHost: ", request.authority.as_bytes(), b"\r\n"]);
    for field in request.fields.iter() {
        put(out, &[field.name.as_bytes(), b": ", field.value, b"\r\n"]);
    }
    if connection.is_chunked {
        put(out, &[b"Transfer-Encoding: chunked\r\n"]);
    }
    match (connection.is_websocket, connection.wants_trailers, connection.is_last) {
        (true, _, _) => put(out, &[b"Connection: upgrade\r\nUpgrade: websocket\r\n"]),
        (false, true, _) => put(out, &[b"TE: trailers\r\nConnection: TE\r\n"]),
        (false, false, true) => put(out, &[b"Connection: close\r\n"]),
        (false, false, false) => {}
    }
    if let Some(traceparent) =
        connection.traceparent.filter(|_| !request.fields.owned.owns_header("traceparent"))
    {
        put(out, &[b"traceparent: ", traceparent.as_bytes(), b"\r\n"]);
    }
    if let Some(number) =
        connection.max_forwards.filter(|_| !request.fields.owned.owns_header("max-forwards"))
    {
        put(out, &[b"Max-Forwards: ", number.to_string().as_bytes(), b"\r\n"]);
    }
    if request.fields.replaces_accept_encoding && !request.fields.owned.owns_header("accept-encoding") {
        put(out, &[b"Accept-Encoding: identity\r\n"]);
    }
    if let Some(via) = connection.via.filter(|_| !request.fields.owned.owns_header("via")) {
        put(out, &[b"Via: ", via.as_bytes(), b"\r\n"]);
    }
    for (name, value) in &injection.fields {
        put(out, &[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    if request.fields.joins_cookies() {
        cookies(out, request, injection.cookie.as_ref().map(http::HeaderValue::as_bytes));
    }
    put(out, &[b"\r\n"]);
    Ok((version, injection.sent))
}

/// Writes the base path, the caller's path and query, and the credential's query parameters.
fn target(out: &mut Vec<u8>, request: &OutboundRequest<'_>, injection: &Injection<'_>) {
    put(out, &[request.base_path.as_bytes(), request.path.as_bytes()]);
    if request.base_path.is_empty() && request.path.is_empty() {
        put(out, &[b"/"]);
    }
    let own = injection.query.as_ref().map(http::HeaderValue::as_bytes);
    match (request.query.as_deref(), own) {
        (None, None) => {}
        (None | Some(""), Some(own)) => put(out, &[b"?", own]),
        (Some(query), None) => put(out, &[b"?", query.as_bytes()]),
        (Some(query), Some(own)) => put(out, &[b"?", query.as_bytes(), b"&", own]),
    }
}

/// Writes one `Cookie` field: the caller's cookies without those that belong to the credential, and the
/// credential's cookie.
fn cookies(out: &mut Vec<u8>, request: &OutboundRequest<'_>, own: Option<&[u8]>) {
    let mut separator: &[u8] = b"Cookie: ";
    let fields = &request.fields;
    let is_passed_on = |name| HeaderClass::of(name) == HeaderClass::Cookie && fields.may_pass_on(name);
    for field in fields.all.iter().filter(|field| is_passed_on(field.name)) {
        let stripped = fields.owned.strip_cookie(field.value);
        if !stripped.is_empty() {
            put(out, &[separator, &stripped]);
            separator = b"; ";
        }
    }
    if let Some(own) = own {
        put(out, &[separator, own]);
        separator = b"; ";
    }
    if separator == b"; " {
        put(out, &[b"\r\n"]);
    }
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use httparse::Header;

    use super::*;
    use crate::credential::{Fixed, ForwardedFields, OutboundBody};
    use crate::proto::FieldName;

    /// The head that is written for a caller's head, for an upstream at `https://up.example.com:8443/api`.
    fn passed(head: &str, rest: &str, signer: &Fixed) -> String {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut fields);
        parsed.parse(head.as_bytes()).unwrap();
        let all: &[Header<'_>] = parsed.headers;
        let is_connection = |field: &&Header<'_>| field.name.eq_ignore_ascii_case("connection");
        let owned = &**signer.owned();
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let request = OutboundRequest {
            method: parsed.method.unwrap(),
            origin: "https://up.example.com:8443",
            authority: "up.example.com:8443",
            base_path: "/api",
            path,
            query: query.map(|query| owned.strip_query(query)),
            fields: ForwardedFields {
                has_connection_options: all.iter().any(|field| is_connection(&field)),
                ..ForwardedFields::of(all, owned)
            },
            body: OutboundBody::Empty,
            after: None,
            subject: None,
            may_probe: false,
        };
        let wants_trailers = all.iter().any(|field| field.name == "TE");
        let connection = ConnectionFields { wants_trailers, ..ConnectionFields::default() };
        let mut out = Vec::new();
        write_signed_head(&mut out, signer, &request, connection).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn bearer() -> Fixed {
        Fixed::authorization(HeaderValue::from_static("Bearer t"))
    }

    #[test]
    fn head_keeps_end_to_end_fields_and_drops_connection_fields() {
        let head = "POST /crm/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-ONE: 1\r\nConnection: keep-alive, X-Two\r\nx-two: 2\r\n\
                    aUthorization: Basic evil\r\nKeep-Alive: 5\r\nProxy-Authorization: Basic proxy\r\nContent-Length: 3\r\n\
                    TE: trailers\r\nUpgrade: h2c\r\nCookie: a=1\r\nX-One: again\r\n\r\n";
        assert_eq!(
            passed(head, "/x", &bearer()),
            "POST /api/x HTTP/1.1\r\nHost: up.example.com:8443\r\nX-ONE: 1\r\nContent-Length: 3\r\nCookie: a=1\r\n\
             X-One: again\r\nTE: trailers\r\nConnection: TE\r\nAuthorization: Bearer t\r\n\r\n"
        );
    }

    #[test]
    fn head_has_only_the_credentials_own_field() {
        let name = FieldName::try_from("X-API-key").unwrap();
        let signer = Fixed::fields([(name, HeaderValue::from_static("mine"))]);
        let head = "GET / HTTP/1.1\r\nHost: a\r\nX-API-KEY: evil\r\nx-api-key: evil\r\nAuthorization: kept\r\nConnection: x-api-key\r\n\r\n";
        let passed_on = passed(head, "", &signer);
        assert_eq!(
            passed_on,
            "GET /api HTTP/1.1\r\nHost: up.example.com:8443\r\nAuthorization: kept\r\nX-API-key: mine\r\n\r\n"
        );
    }

    #[test]
    fn head_appends_query_key_to_the_callers_query() {
        let own = HeaderValue::from_static("key=mine");
        let signer = Fixed::fields([]).with_query(["key".into()], own);
        let line = |rest: &str| {
            let head = "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n";
            let all = passed(head, rest, &signer);
            assert!(all.contains("\r\nCookie: a=1; b=2\r\n"));
            all.lines().next().unwrap().to_owned()
        };
        assert_eq!(line(""), "GET /api?key=mine HTTP/1.1");
        assert_eq!(line("/x?"), "GET /api/x?key=mine HTTP/1.1");
        assert_eq!(line("/x?a=%20&b"), "GET /api/x?a=%20&b&key=mine HTTP/1.1");
        assert_eq!(line("/x?k%65y=evil&a"), "GET /api/x?a&key=mine HTTP/1.1");
        assert_eq!(line("/x?key=evil"), "GET /api/x?key=mine HTTP/1.1");
        assert_eq!(line("/x?a?b=1"), "GET /api/x?a?b=1&key=mine HTTP/1.1");
    }

    #[test]
    fn head_joins_cookie_with_the_callers() {
        let own = HeaderValue::from_static("sid=mine");
        let signer = Fixed::fields([]).with_cookie("sid".into(), own);
        let cookie = |fields: &str| {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let all = passed(&head, "/", &signer);
            all.lines().find_map(|line| line.strip_prefix("Cookie: ").map(str::to_owned)).unwrap()
        };
        assert_eq!(cookie(""), "sid=mine");
        assert_eq!(
            cookie("Cookie: a=1; sid=evil\r\nCookie: sid=evil\r\nCookie: b=2\r\n"),
            "a=1; b=2; sid=mine"
        );
    }

    #[test]
    fn cookie_that_connection_names_is_dropped() {
        let joining = Fixed::fields([]).with_cookie("sid".into(), HeaderValue::from_static("sid=mine"));
        let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: cookie\r\nCookie: a=1\r\n\r\n";
        assert!(!passed(head, "/", &bearer()).contains("Cookie"));
        assert!(passed(head, "/", &joining).contains("\r\nCookie: sid=mine\r\n"));
    }
}
