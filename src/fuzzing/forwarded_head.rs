//! What is sent to the upstream for a head that was accepted: the same message, less the fields of the caller's
//! connection, with the credential in its place and nothing of the caller's there.

use percent_encoding::percent_decode;

use super::path_readings::assert_is_inside;
use super::plain_head::{PlainFraming, PlainHead, assert_is_one_head};
use super::services::CREDENTIAL;
use crate::config::ServiceConfig;
use crate::proto::http2::hpack::Decoder;
use crate::proto::http2::upstream_request::{RequestContext, encode_request};

/// Fields of the connection that a caller sent them on (RFC 9110 §7.6.1), and fields that Sidekey writes itself.
const NOT_FORWARDED: [&str; 10] = [
    "connection",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "sidekey-error",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields that Sidekey may write behind those of the caller.
const WRITTEN: [&str; 7] =
    ["authorization", "connection", "cookie", "te", "transfer-encoding", "upgrade", "x-api-key"];

/// Asserts that `sent` is the head for the upstream of the service, for the caller's head with this method and path.
pub(super) fn assert_forwarded(
    caller: &PlainHead<'_>,
    method: &str,
    path: &str,
    service: &ServiceConfig,
    sent: &[u8],
) {
    assert_is_one_head(sent);
    let upstream = PlainHead::read(sent);
    upstream.assert_fields_are_clean();
    assert_eq!(upstream.values("host"), [service.upstream.authority().as_bytes()]);
    assert_eq!(stated(upstream.framing()), stated(caller.framing()), "the upstream finds another body");
    let start: Vec<_> = upstream.start.split(|byte| *byte == b' ').collect();
    let [sent_method, target, version] = start[..] else { panic!("a request line is not in three parts") };
    assert_eq!((sent_method, version), (method.as_bytes(), &b"HTTP/1.1"[..]));
    assert_target(target, path, service);
    assert_credential(&upstream, target, &service.name);
    assert_fields(caller, &upstream, service);
    assert_http2(sent, method, target);
}

/// The head has the same method and the same target in HTTP/2, and no field of a connection.
fn assert_http2(sent: &[u8], method: &str, target: &[u8]) {
    let (mut block, mut fields) = (Vec::new(), Vec::new());
    let context = RequestContext { is_tls: true, sensitive: std::sync::Arc::default() };
    let encoded = encode_request(sent, &context, &mut block);
    assert_eq!(encoded.expect("a request of HTTP/2").length, sent.len());
    let decoded = Decoder::new(0, usize::MAX)
        .decode(&block, |name, value| fields.push((name.to_vec(), value.to_vec())));
    assert_eq!(decoded, Ok(()));
    let value = |name: &str| fields.iter().find(|field| field.0 == name.as_bytes()).map(|field| &*field.1);
    assert_eq!(value(":method"), Some(method.as_bytes()));
    let http2_target = value(":path").expect("a path");
    assert!(percent_decode(http2_target).eq(percent_decode(target)), "another target in HTTP/2");
    for name in ["connection", "transfer-encoding", "host", "keep-alive", "upgrade"] {
        assert_eq!(value(name), None, "{name} in HTTP/2");
    }
}

/// No length and a length of zero are the same.
fn stated(framing: PlainFraming) -> PlainFraming {
    if framing == PlainFraming::Length(0) { PlainFraming::Unstated } else { framing }
}

/// The target is the caller's, below the base path, with the credential if it goes there.
fn assert_target(target: &[u8], path: &str, service: &ServiceConfig) {
    let base_path = &service.upstream.base_path;
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let whole = format!("{base_path}{path}");
    let whole = if whole.is_empty() { "/" } else { &whole };
    let mut parts = target.splitn(2, |byte| *byte == b'?');
    assert_eq!(parts.next(), Some(whole.as_bytes()), "another path is sent");
    if service.name != "query" {
        assert_eq!(parts.next(), query.map(str::as_bytes), "another query is sent");
    }
    assert_is_inside(base_path, path);
}

/// The credential is sent once, in its place, and nothing of the caller's is left there.
fn assert_credential(upstream: &PlainHead<'_>, target: &[u8], service: &str) {
    let (own, expected): (Vec<&[u8]>, String) = match service {
        "query" => {
            let query = target.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
            let pairs = query.split(|byte| matches!(byte, b'&' | b';'));
            (pairs.filter(|pair| form_name(pair) == b"key").collect(), format!("key={CREDENTIAL}"))
        }
        "cookie" => {
            let cookies = upstream.values("cookie");
            assert_eq!(cookies.len(), 1, "cookies are not joined");
            let pairs = cookies[0].split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let is_own = |pair: &&[u8]| {
                pair.split(|byte| *byte == b'=').next().map(<[u8]>::trim_ascii) == Some(b"sid")
            };
            (pairs.filter(is_own).collect(), format!("sid={CREDENTIAL}"))
        }
        _ => {
            let fields = upstream.fields.iter().filter(|(name, _)| is_owned(name, service));
            let prefix = if service == "bearer" { "Bearer " } else { "" };
            (fields.map(|(_, value)| *value).collect(), format!("{prefix}{CREDENTIAL}"))
        }
    };
    assert_eq!(own, [expected.as_bytes()], "not the credential alone");
}

/// The name of a pair in a query, as a form is read.
fn form_name(pair: &[u8]) -> Vec<u8> {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    let spaced: Vec<_> = name.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

/// Whether a field belongs to the credential. To CGI and its like, `_` and `-` are the same.
fn is_owned(name: &[u8], service: &str) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-");
    match service {
        "bearer" => name == "authorization",
        "header" => name == "x-api-key",
        _ => false,
    }
}

/// The caller's fields are sent in their order and case, less those that are not forwarded; behind them are fields that
/// Sidekey writes.
fn assert_fields(caller: &PlainHead<'_>, upstream: &PlainHead<'_>, service: &ServiceConfig) {
    let connection = caller.values("connection");
    let options =
        connection.iter().flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let options: Vec<_> =
        options.map(<[u8]>::to_ascii_lowercase).filter(|option| !option.is_empty()).collect();
    // Names that `Connection` has for its own sake name no fields.
    let is_own = |option: &Vec<u8>| {
        ["close", "keep-alive", "te", "upgrade"].iter().any(|own| option == own.as_bytes())
    };
    let has_options = !options.iter().all(is_own);
    let is_forwarded = |name: &[u8]| {
        let name = name.to_ascii_lowercase();
        let joins_cookies = ["query", "cookie"].contains(&service.name.as_str());
        match &*name {
            b"content-length" => true,
            b"cookie" => !joins_cookies,
            _ if NOT_FORWARDED.iter().any(|own| name == own.as_bytes()) => false,
            _ => !(is_owned(&name, &service.name) || has_options && options.contains(&name)),
        }
    };
    let expected: Vec<_> = caller.fields.iter().filter(|(name, _)| is_forwarded(name)).collect();
    // The first field is `Host`.
    let (forwarded, written) = upstream.fields[1..].split_at(expected.len());
    for ((name, value), (came, came_value)) in forwarded.iter().zip(expected) {
        assert_eq!(name.escape_ascii().to_string(), came.escape_ascii().to_string(), "another field is sent");
        let is_destination = name.eq_ignore_ascii_case(b"destination") && value != came_value;
        let is_condition = name.eq_ignore_ascii_case(b"if") && value != came_value;
        assert!(
            is_destination || is_condition || value == came_value,
            "another value of {} is sent",
            name.escape_ascii()
        );
        if is_destination {
            assert_destination(value, service);
        }
        if is_condition {
            assert!(value.contains(&b'<'), "it names no resource");
        }
    }
    for (name, _) in written {
        let is_known = WRITTEN.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        assert!(is_known, "a field out of nowhere: {}", name.escape_ascii());
    }
}

/// A destination that is rewritten is inside the base path.
fn assert_destination(value: &[u8], service: &ServiceConfig) {
    let value = std::str::from_utf8(value).expect("text");
    let url = service.upstream.to_string();
    let rest = value.strip_prefix(&url).expect("a URL of the upstream");
    if !service.upstream.base_path.is_empty() {
        assert!(rest.is_empty() || rest.starts_with(['/', '?']), "{rest} is not below the base path");
        assert_is_inside(&service.upstream.base_path, rest);
    }
}
