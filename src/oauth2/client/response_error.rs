//! The errors of endpoints: RFC 6749 §5.2, and what real providers send instead.
//!
//! Decisions depend on what was received; what is shown is redacted. An error has nothing of the body except
//! the code and a short, sanitized description.

use serde_json::{Map, Value};

use super::chosen_token::ChosenToken;
use super::raw_response::RawResponse;
use super::redact::Redactor;
use crate::oauth2::sanitize::sanitize;
use crate::proto::retry_after::retry_after;
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};

/// The error that an answer states, if it states one.
pub(super) fn stated(
    answer: &RawResponse,
    members: &Map<String, Value>,
    chosen: Option<&ChosenToken>,
) -> Option<SourceError> {
    let has_token = chosen.is_some() || members.contains_key("access_token");
    let (code, description) = code_and_description(members, has_token)?;
    let redactor = with_tokens(&answer.redactor, members, chosen);
    // Redacted before it is cut: half a secret is still a secret.
    let safe = |text: &str| sanitize(redactor.apply(text));
    let code = match code {
        Value::String(received) => ErrorCode::read(received, safe),
        Value::Number(number) => ErrorCode::Other(safe(&number.to_string())),
        _ => ErrorCode::Other("(no string)".into()),
    };
    let status = answer.status.as_u16();
    let mut message = format!("the token endpoint answered {status} with error {}", code.as_str());
    if let Some(description) = description.and_then(Value::as_str) {
        message.push_str(": ");
        message.push_str(&safe(description));
    }
    let kind = match status {
        429 => SourceErrorKind::RateLimited,
        408 | 425 | 500.. => SourceErrorKind::ServerError,
        _ if code.is_transient() => SourceErrorKind::ServerError,
        _ => SourceErrorKind::Refused,
    };
    let retry_after = retry_after(&answer.headers, answer.sent_at);
    Some(SourceError { kind, message, retry_after, code: Some(code), status: Some(status) })
}

/// The error of an answer that states none, by its status.
pub(super) fn of_status(answer: &RawResponse) -> SourceError {
    let retry_after = retry_after(&answer.headers, answer.sent_at);
    let status = answer.status.as_u16();
    let (kind, note) = match status {
        429 => (SourceErrorKind::RateLimited, ""),
        503 if retry_after.is_some() => (SourceErrorKind::RateLimited, ""),
        408 | 425 | 500.. => (SourceErrorKind::ServerError, ""),
        300..=399 => (
            SourceErrorKind::Malformed,
            ": a redirect, which is never followed; the configuration must have the URL of the endpoint itself",
        ),
        401 => (SourceErrorKind::Refused, ", without saying why"),
        // Not an OAuth error: it comes from something before the endpoint, such as a firewall, and may be
        // transient.
        400 | 403 => (SourceErrorKind::Malformed, " without an OAuth error: is something in between?"),
        _ => (SourceErrorKind::Malformed, ", which is no answer of a token endpoint"),
    };
    let message = format!("the token endpoint answered {status}{note}");
    SourceError { kind, message, retry_after, code: None, status: Some(status) }
}

/// The redactor with the tokens of this answer, which its other members may repeat.
pub(super) fn with_tokens(
    redactor: &Redactor,
    members: &Map<String, Value>,
    chosen: Option<&ChosenToken>,
) -> Redactor {
    let named = |name| members.get(name).and_then(Value::as_str);
    let chosen = chosen.and_then(|chosen| chosen.value.as_str());
    let tokens = ["access_token", "refresh_token", "id_token"].into_iter().filter_map(named).chain(chosen);
    // A scheme in front of a token is no part of it.
    let words = tokens.flat_map(|token| [token, token.trim().rsplit(' ').next().unwrap_or_default()]);
    words.fold(redactor.clone(), Redactor::redact_token)
}

/// The code and the description of an error: RFC 6749 §5.2, or as Google (an object) and Okta (other names)
/// send them.
fn code_and_description(members: &Map<String, Value>, has_token: bool) -> Option<(&Value, Option<&Value>)> {
    let mut codes = ["error", "errorCode"].into_iter().filter_map(|name| members.get(name));
    let code = codes.find(|code| !(is_none(code) || has_token && is_nothing(code)))?;
    if let Value::Object(error) = code {
        let code = ["status", "type", "code"].into_iter().find_map(|name| error.get(name));
        return Some((code.unwrap_or(&Value::Null), error.get("message")));
    }
    let description = ["error_description", "errorSummary", "message"];
    Some((code, description.into_iter().find_map(|name| members.get(name))))
}

/// Whether the value of `error` is no error in any answer.
fn is_none(code: &Value) -> bool {
    match code {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// Whether the value of `error` is no error beside a token.
fn is_nothing(code: &Value) -> bool {
    match code {
        Value::Object(members) => members.is_empty(),
        Value::Array(members) => members.is_empty(),
        Value::String(text) => matches!(text.trim(), "0" | "false" | "null" | "none" | "None"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::response_members::parse_object;
    use super::*;
    use crate::oauth2::sanitize::MAX_CHARACTERS;
    use std::time::Duration;

    fn error(status: u16, headers: &[(&'static str, &str)], body: &str) -> SourceError {
        parse_object(&RawResponse::for_test(status, headers, body.as_bytes())).unwrap_err()
    }

    fn redacted(status: u16, body: &str, secret: &str) -> SourceError {
        let mut answer = RawResponse::for_test(status, &[], body.as_bytes());
        answer.redactor = Redactor::default().redact_value(secret);
        parse_object(&answer).unwrap_err()
    }

    #[test]
    fn token_response_errors_have_one_class_each() {
        use SourceErrorKind::{Malformed, RateLimited, Refused, ServerError};
        let html = "<html>Sign in</html>";
        for (status, body, expected) in [
            (200, "", Malformed),
            (200, html, Malformed),
            (200, "[]", Malformed),
            (200, r#"{"access_token":"abc""#, Malformed),
            (200, r#"{"error":"bad_verification_code"}"#, Refused),
            (200, r#"{"ok":false,"error":"invalid_auth"}"#, Refused),
            (200, r#"{"error":null,"errorCode":"E0000004"}"#, Refused),
            (400, r#"{"error":"invalid_grant"}"#, Refused),
            (200, "error=bad_verification_code&error_description=The+code", Refused),
            (401, r#"{"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}"#, Refused),
            (401, r#"{"errorCode":"invalid_client","errorSummary":"no such client"}"#, Refused),
            (400, r#"{"error":{}}"#, Refused),
            (400, r#"{"error":7}"#, Refused),
            (204, "", Malformed),
            (400, html, Malformed),
            (401, html, Refused),
            (403, html, Malformed),
            (401, r#"{"error":"invalid_client"}"#, Refused),
            (400, r#"{"error":"temporarily_unavailable"}"#, ServerError),
            (400, r#"{"error":"Slow-Down"}"#, ServerError),
            (404, html, Malformed),
            (302, "", Malformed),
            (408, "", ServerError),
            (425, "", ServerError),
            (429, "", RateLimited),
            (429, r#"{"error":"invalid_grant"}"#, RateLimited),
            (500, r#"{"error":"server_error"}"#, ServerError),
            (502, html, ServerError),
            (503, "", ServerError),
        ] {
            let error = error(status, &[], body);
            assert_eq!((error.kind, error.status), (expected, Some(status)), "{status} {body}");
        }
        assert_eq!(error(503, &[("retry-after", "5")], "").kind, RateLimited);
    }

    #[test]
    fn token_response_error_has_retry_after() {
        let asked = |value: &str| error(429, &[("retry-after", value)], "").retry_after;
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Thu, 01 Jan 2026 00:02:00 GMT"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Wed, 31 Dec 2025 00:00:00 GMT"), None);
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn token_response_error_has_only_code_and_description() {
        let long = "x".repeat(5000);
        let body = format!(
            r#"{{"error":"invalid_client","error_description":"no\n\u001b[31m {long}","hint":"CANARY"}}"#
        );
        let message = error(401, &[], &body).message;
        assert!(
            message.starts_with("the token endpoint answered 401 with error invalid_client: no??[31m xxx")
        );
        assert!(message.len() < 300 && !message.contains("CANARY"));
        assert!(!error(200, &[], "CANARY").message.contains("CANARY"));
    }

    #[test]
    fn token_response_error_code_is_read_in_every_form() {
        for (body, expected) in [
            (r#"{"error":"invalid_scope"}"#, "invalid_scope"),
            (
                r#"{"error":{"code":401,"message":"bad key","status":"UNAUTHENTICATED"}}"#,
                "UNAUTHENTICATED: bad key",
            ),
            (r#"{"error":{"type":"auth","message":"bad key"}}"#, "auth: bad key"),
            (
                r#"{"errorCode":"invalid_client","errorSummary":"no such client"}"#,
                "invalid_client: no such client",
            ),
            (r#"{"error":7,"message":"seven"}"#, "7: seven"),
        ] {
            let expected = format!("the token endpoint answered 400 with error {expected}");
            assert_eq!(error(400, &[], body).message, expected);
        }
    }

    #[test]
    fn error_code_that_contains_a_secret_decides_all_the_same() {
        for (secret, code) in [("grant", "invalid_grant"), ("invalid_grant", "invalid_grant")] {
            let error = redacted(400, &format!(r#"{{"error":"{code}"}}"#), secret);
            assert_eq!((error.kind, error.code), (SourceErrorKind::Refused, Some(ErrorCode::InvalidGrant)));
        }
        for secret in ["temp", "temporarily_unavailable", "available"] {
            let error = redacted(400, r#"{"error":"temporarily_unavailable"}"#, secret);
            assert_eq!(error.kind, SourceErrorKind::ServerError, "{secret}");
        }
        let other = redacted(400, r#"{"error":"no hunter22","error_description":"d"}"#, "hunter22");
        assert_eq!(other.message, "the token endpoint answered 400 with error ****: d");
        let number = redacted(400, r#"{"error":1234567890}"#, "1234567890");
        assert!(!number.message.contains("1234567890"), "{number}");
    }

    #[test]
    fn token_response_secrets_are_redacted_before_the_cut() {
        let body =
            format!(r#"{{"error":"x","error_description":"{}CANARY-1"}}"#, "y".repeat(MAX_CHARACTERS - 3));
        let error = redacted(400, &body, "CANARY-1");
        assert!(!error.message.contains("CAN"), "{}", error.message);
    }
}
