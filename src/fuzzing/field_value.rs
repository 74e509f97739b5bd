//! The property of field values with a syntax of their own: `WWW-Authenticate`, `Retry-After`, `traceparent`, and the
//! claims of a token. What is read means the same when it is written again.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};
use httparse::Header;

use super::plain_head::is_token;
use crate::oauth2::fuzzing::decode_claims;
use crate::otel::Parent;
use crate::proto::challenge::{Challenge, challenges, has_error};
use crate::proto::fields::{has_token, tokens};
use crate::proto::retry_after::retry_after;

/// 2026-01-01T00:00:00Z
const NOW: Duration = Duration::from_secs(1_767_225_600);

/// Checks the property on a value.
pub fn field_value(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    check_challenges(value.as_bytes());
    check_retry_after(&value);
    check_traceparent(value.as_bytes());
    assert!(tokens(value.as_bytes()).all(|token| !token.is_empty() && !token.contains(&b',')));
    if let Ok(text) = value.to_str() {
        decode_claims(text);
        assert!(text.contains(',') || text.trim().is_empty() || has_token(text.as_bytes(), text.trim()));
    }
}

fn read_challenges(value: &[u8]) -> Vec<Challenge> {
    challenges(&[Header { name: "WWW-Authenticate", value }])
}

fn check_challenges(value: &[u8]) {
    let found = read_challenges(value);
    let mut written = String::new();
    for Challenge { scheme, parameters } in &found {
        assert!(is_token(scheme.as_bytes()), "a scheme that is no token: {scheme}");
        let _ = write!(written, "{}{scheme}", if written.is_empty() { "" } else { ", " });
        for (at, (name, value)) in parameters.iter().enumerate() {
            assert!(
                is_token(name.as_bytes()) && name.to_ascii_lowercase() == *name,
                "a name that is none: {name}"
            );
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = write!(written, "{} {name}=\"{value}\"", if at == 0 { "" } else { "," });
        }
    }
    assert_eq!(
        read_challenges(written.as_bytes()),
        found,
        "written again it is another challenge: {written}"
    );
    // What is quoted is a value, whatever it looks like.
    let blank = without_quoted(value);
    let names = |challenges: &[Challenge]| -> Vec<(String, Vec<String>)> {
        let names =
            |challenge: &Challenge| challenge.parameters.iter().map(|(name, _)| name.clone()).collect();
        challenges.iter().map(|challenge| (challenge.scheme.clone(), names(challenge))).collect()
    };
    assert_eq!(names(&read_challenges(&blank)), names(&found), "a quoted text is taken for something else");
    let is_invalid = has_error(&[Header { name: "www-authenticate", value }], "invalid_token");
    assert!(!is_invalid || found.iter().any(|challenge| challenge.parameter("error").is_some()));
}

/// The value with an `x` for every character in quotes.
fn without_quoted(value: &[u8]) -> Vec<u8> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let blank = |byte: &u8| match byte {
        _ if is_escaped => {
            is_escaped = false;
            b'x'
        }
        b'\\' if is_quoted => {
            is_escaped = true;
            b'x'
        }
        b'"' => {
            is_quoted = !is_quoted;
            b'"'
        }
        _ if is_quoted => b'x',
        byte => *byte,
    };
    value.iter().map(blank).collect()
}

fn check_retry_after(value: &HeaderValue) {
    let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.clone())]);
    let Some(wait) = retry_after(&headers, UNIX_EPOCH + NOW) else { return };
    let text = value.to_str().expect("text").trim();
    if let Ok(date) = httpdate::parse_http_date(text) {
        assert_eq!(date, UNIX_EPOCH + NOW + wait, "another date");
    } else {
        // RFC 9110 §10.2.3: digits and nothing else.
        assert!(text.bytes().all(|byte| byte.is_ascii_digit()), "a number that is none: {text}");
        assert_eq!(text.trim_start_matches('0'), wait.as_secs().to_string().trim_start_matches('0'));
    }
}

fn check_traceparent(value: &[u8]) {
    let Some(parent) = Parent::parse(value) else { return };
    let text = std::str::from_utf8(&value[..55]).expect("ASCII");
    let written = format!("{}-{}-{}-{:02x}", &text[..2], parent.trace_id, parent.span_id, parent.flags);
    assert_eq!(written, text, "another parent");
}
