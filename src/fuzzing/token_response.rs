//! The property of answers of token endpoints: an answer is a token with a sane lifetime, or one error for which nothing in
//! the answer that may be a secret is shown.
//!
//! An input is a status, fields, an empty line, and the body: `400\nretry-after: 5\n\n{"error":"invalid_grant"}`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::config::TokenField;
use crate::config::auth::placement::Placement;
use crate::oauth2::fuzzing::{Expected, ParsedResponse, RawResponse, Redactor, TokenType, parse_response};
use crate::oauth2::{AccessToken, IssuedToken};
use crate::refresh::schedule::{Failure, refresh_in, retry_in, usable_for};
use crate::refresh::{ClockReading, Expiry, SourceError};

/// A secret that was sent to the endpoint.
const SENT: &str = "CANARY-client-secret";
/// A word in the tokens of the seeds. A token that contains it is looked for in what is shown; any other might be in there
/// by chance.
const CANARY: &str = "CANARY";
/// Shortest token that is redacted.
const MIN_TOKEN_LENGTH: usize = 8;
/// Longest lifetime.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 86_400);
/// Longest wait after a failure: an hour, and a tenth more.
const MAX_WAIT: Duration = Duration::from_secs(3600 + 360);
/// Longest message: two texts of the answer and what is around them.
const MAX_MESSAGE: usize = 700;
/// 2026-01-01T00:00:00Z
const NOW: Duration = Duration::from_secs(1_767_225_600);

/// Checks the property on an answer.
pub fn token_response(input: &[u8]) {
    let Some((status, headers, body)) = split(input) else { return };
    for kind in [TokenType::Bearer, TokenType::Dpop] {
        let raw = RawResponse {
            status,
            headers: headers.clone(),
            body: Zeroizing::new(body.to_vec()),
            sent_at: UNIX_EPOCH + NOW,
            redactor: Redactor::default().redact_value(SENT),
        };
        for field in [None, Some("id_token"), Some("/data/token")] {
            let field = field.map(|text| TokenField::parse(text).expect("a name or a pointer"));
            let expected = Expected { token_type: kind, accepted: None, field: field.as_ref() };
            match parse_response(expected, &raw) {
                Ok(response) => {
                    check_field(field.as_ref(), &response, body);
                    check_response(response, body);
                }
                Err(error) => check_error(&error, body),
            }
        }
    }
}

/// Asserts that a token is the one in the member that is asked for, as a second reader finds it.
fn check_field(field: Option<&TokenField>, response: &ParsedResponse, body: &[u8]) {
    let (Some(field), Ok(access)) = (field, &response.access) else { return };
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return };
    let pointer = format!("/{}", field.as_str().trim_start_matches('/'));
    let stated = answer.pointer(&pointer).and_then(Value::as_str).expect("the member is there");
    let is_stated = stated.split_whitespace().any(|word| access.value.ct_eq(word.as_bytes()));
    assert!(is_stated, "the token is that of another member");
}

fn split(input: &[u8]) -> Option<(StatusCode, HeaderMap, &[u8])> {
    let end = input.windows(2).position(|window| window == b"\n\n")?;
    let (head, body) = (&input[..end], &input[end + 2..]);
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = StatusCode::from_bytes(lines.next()?).ok()?;
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    Some((status, lines.filter_map(field).collect(), body))
}

fn check_response(response: ParsedResponse, body: &[u8]) {
    assert_shows_no_secret(&format!("{response:?}"), body);
    let access = match response.access {
        Ok(access) => access,
        Err(error) => return check_error(&error, body),
    };
    assert!(access.value.first_disallowed(|c| c.is_ascii_graphic()).is_none());
    let stated = access.end.stated.map_or(MAX_LIFETIME, |(left, _)| left);
    let lifetime = access.end.own.map_or(stated, |own| own.min(stated));
    assert!(lifetime <= MAX_LIFETIME, "a token that lives for {lifetime:?}");
    assert!(usable_for(lifetime) <= lifetime);
    for random in [0.0, 0.5, 1.0] {
        assert!(refresh_in(lifetime, random) <= lifetime.max(Duration::from_millis(500)));
    }
    let expiry = Expiry::after(ClockReading::now(), usable_for(lifetime));
    assert!(expiry.remaining() <= lifetime && expiry.wall() >= UNIX_EPOCH);
    let token = IssuedToken { value: access.value, expiry, scope: access.scope };
    let access_token =
        AccessToken::new(&token, None, &Placement::bearer()).expect("a token that can be sent");
    assert!(access_token.placed.is_sensitive());
    assert_shows_no_secret(&format!("{token:?} {access_token:?} {:?}", access_token.placed), body);
}

fn check_error(error: &SourceError, body: &[u8]) {
    assert_shows_no_secret(&format!("{error} {error:?}"), body);
    assert!(!error.message.chars().any(char::is_control), "a control character in a message");
    assert!(error.message.len() <= MAX_MESSAGE, "a message of {} bytes", error.message.len());
    let failure =
        Failure { count: 1, refused: false, retry_after: error.retry_after, lifetime: None, remaining: None };
    assert!(retry_in(failure, 1.0) <= MAX_WAIT);
    assert!(SystemTime::now().checked_add(retry_in(failure, 1.0)).is_some());
}

/// Asserts that a text has neither the secret that was sent nor a token of the answer.
fn assert_shows_no_secret(text: &str, body: &[u8]) {
    assert!(!text.to_lowercase().contains(&SENT.to_lowercase()), "the secret that was sent is shown");
    for token in tokens(body) {
        assert!(!text.contains(&token), "a token of the answer is shown");
    }
}

/// The tokens in an answer, as a second reader finds them.
fn tokens(body: &[u8]) -> Vec<String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_else(|_| {
        let pairs = form_urlencoded::parse(body);
        pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
    });
    let is_token = |name: &str| ["access_token", "refresh_token", "id_token"].contains(&name);
    let values =
        members.into_iter().filter(|(name, _)| is_token(name)).filter_map(|(_, value)| match value {
            Value::String(text) => Some(text),
            _ => None,
        });
    values.filter(|token| token.len() >= MIN_TOKEN_LENGTH && token.contains(CANARY)).collect()
}
