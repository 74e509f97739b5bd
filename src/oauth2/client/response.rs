//! Parses the answers of token endpoints: RFC 6749 §5, and what real providers send instead.
//!
//! A pure function of status, headers and body. The result is a token or one classified error. An error has
//! nothing of the body except the `error` code and a short, sanitized description.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::redact::Redactor;
use crate::oauth2::claims;
use crate::oauth2::sanitize::sanitize;
use crate::proto::retry_after::retry_after;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::Secret;

/// Maximum lifetime. A longer one is cut: the token is merely refreshed earlier.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 86_400);
/// Minimum lifetime in seconds if `expires_in` is read as milliseconds. A value of more than thirty days is
/// read so (Entra v1, PayPal, NetSuite).
const MIN_SECONDS_IF_MILLISECONDS: f64 = 60.0;

/// A token response, parsed.
#[derive(Debug)]
pub(crate) struct ParsedResponse {
    /// `access_token`.
    pub access_token: Secret,
    /// The lifetime from `expires_in`, or `expires_at`/`expires_on`, or the token's own `exp`; `None` if
    /// there is none of them.
    pub lifetime: Option<Duration>,
    /// Whether the endpoint stated `lifetime`, rather than the token itself hinting at it.
    pub lifetime_is_stated: bool,
    /// `scope`, redacted and sanitized.
    pub scope: Option<String>,
    /// `refresh_token`, if it can be used.
    pub refresh_token: Option<Secret>,
}

/// The expected `token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// A bearer token (RFC 6750).
    Bearer,
    /// A token that is bound to a key (RFC 9449).
    Dpop,
}

impl TokenType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// An answer of an endpoint before it is parsed.
pub(crate) struct RawResponse {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
    /// When the request was sent.
    pub sent_at: SystemTime,
    /// The secrets that the answer may repeat.
    pub redactor: Redactor,
}

/// Parses the answer to a request for a token of this type.
pub(crate) fn parse(kind: TokenType, answer: &RawResponse) -> Result<ParsedResponse, SourceError> {
    let mut fields = parse_object(answer)?;
    let redactor = &with_tokens(&answer.redactor, Some(&fields));
    let now = answer.sent_at;
    let malformed = |message: &str| SourceError::new(SourceErrorKind::Malformed, message);
    if let Some(other) = unexpected_token_type(kind, &fields, redactor) {
        let wanted = kind.as_str();
        let hint = match kind {
            TokenType::Dpop => "; remove `dpop` if this endpoint does not bind tokens to keys",
            TokenType::Bearer if other.eq_ignore_ascii_case("dpop") => {
                "; `dpop: true` makes the proofs for it"
            }
            TokenType::Bearer => "",
        };
        return Err(malformed(&format!(
            "the token endpoint issued a token of type {other}, which is not {wanted}{hint}"
        )));
    }
    let access_token = match fields.remove("access_token") {
        Some(Value::String(token)) => valid_token(token)
            .ok_or_else(|| malformed("the access token has characters that cannot be sent in a header"))?,
        _ => return Err(malformed("the token endpoint's answer has no access_token")),
    };
    let refresh_token = match fields.remove("refresh_token") {
        Some(Value::String(token)) => Secret::new(token).ok(),
        _ => None,
    };
    let hint = jwt_lifetime(&access_token, now);
    let stated = stated_lifetime(&fields, hint, now);
    Ok(ParsedResponse {
        lifetime: stated.or(hint),
        lifetime_is_stated: stated.is_some(),
        scope: fields.get("scope").and_then(Value::as_str).map(|scope| sanitize(redactor.apply(scope))),
        access_token,
        refresh_token,
    })
}

/// The members of an answer that is not an error, from a token endpoint or a device authorization endpoint.
pub(crate) fn parse_object(answer: &RawResponse) -> Result<Map<String, Value>, SourceError> {
    let RawResponse { status, headers, body, sent_at, redactor } = answer;
    let (status, now) = (*status, *sent_at);
    let fields = fields(headers, body);
    let redactor = &with_tokens(redactor, fields.as_ref());
    // An error counts under any status: GitHub and Slack send errors with 200.
    if let Some((code, description)) = fields.as_ref().and_then(error_members) {
        return Err(stated_error(status, headers, code, description, now, redactor));
    }
    if !status.is_success() {
        return Err(status_error(status, headers, now));
    }
    let malformed = |message: &str| SourceError::new(SourceErrorKind::Malformed, message);
    fields.ok_or_else(|| match body.as_slice() {
        [] => malformed("the token endpoint sent an empty answer"),
        _ => malformed("the token endpoint sent an answer that is neither a JSON object nor a form"),
    })
}

/// The code and the description of an error: RFC 6749 §5.2, or as Google (an object) and Okta (other names)
/// send them.
fn error_members(fields: &Map<String, Value>) -> Option<(&Value, Option<&Value>)> {
    let code = fields.get("error").or_else(|| fields.get("errorCode"))?;
    if let Value::Object(error) = code {
        let code = ["status", "type", "code"].into_iter().find_map(|name| error.get(name));
        return Some((code.unwrap_or(&Value::Null), error.get("message")));
    }
    let none = matches!(code, Value::Null | Value::Bool(false)) || code == "";
    let description = ["error_description", "errorSummary", "message"];
    (!none).then(|| (code, description.into_iter().find_map(|name| fields.get(name))))
}

/// The members of an answer. JSON is accepted under any content type; a form, if the content type says so
/// (GitHub without `Accept`) or if the body looks like one.
fn fields(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Value>> {
    // A byte order mark is not part of the document.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(object) = serde_json::from_slice(body) {
        return Some(object);
    }
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    let looks_like_form = body.starts_with(b"access_token=") || body.starts_with(b"error=");
    (is_form || looks_like_form).then(|| {
        let pairs = form_urlencoded::parse(body);
        pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
    })
}

/// The redactor with the tokens of this answer, which its other fields may repeat.
fn with_tokens(redactor: &Redactor, fields: Option<&Map<String, Value>>) -> Redactor {
    let named = |name| fields.and_then(|fields| fields.get(name)).and_then(Value::as_str);
    let tokens = ["access_token", "refresh_token", "id_token"].into_iter().filter_map(named);
    tokens.fold(redactor.clone(), Redactor::redact_token)
}

/// The `token_type` if it is not the expected one, compared case-insensitively, or missing. Any other type
/// needs more than a header. A token exchange answers `N_A` if it issued something else than an access token
/// (RFC 8693 §2.2.1), such as an ID token that an API accepts.
fn unexpected_token_type(
    wanted: TokenType,
    fields: &Map<String, Value>,
    redactor: &Redactor,
) -> Option<String> {
    match fields.get("token_type") {
        None | Some(Value::Null) => None,
        Some(Value::String(kind)) if kind.is_empty() || kind.eq_ignore_ascii_case(wanted.as_str()) => None,
        Some(Value::String(kind)) if kind == "N_A" && fields.contains_key("issued_token_type") => None,
        Some(Value::String(kind)) => Some(sanitize(redactor.apply(kind))),
        Some(_) => Some("that is no string".into()),
    }
}

/// A token that can be sent in a header: visible ASCII. The syntax of RFC 6750 §2.1 is narrower, but not all
/// providers follow it.
fn valid_token(token: String) -> Option<Secret> {
    let token = Zeroizing::new(token);
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    if visible { Secret::new(token.to_string()).ok() } else { None }
}

/// The lifetime that the answer states, compared with what the token itself hints at. If the hint is less
/// than a tenth of it, the answer has another unit, and the hint counts. A token that is refreshed too early
/// costs a request; one that is used too long costs the service.
fn stated_lifetime(fields: &Map<String, Value>, hint: Option<Duration>, now: SystemTime) -> Option<Duration> {
    let seconds = |name: &str| fields.get(name).and_then(number).filter(|seconds| *seconds > 0.0);
    let unix_now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let until = |name: &str| {
        // A point in time with more than 11 digits is in milliseconds.
        let at = seconds(name).map(|at| if at > 1e11 { at / 1000.0 } else { at });
        at.map(|at| at - unix_now).filter(|left| *left > 0.0)
    };
    let stated = seconds("expires_in").or_else(|| until("expires_at")).or_else(|| until("expires_on"))?;
    let in_milliseconds =
        stated > MAX_LIFETIME.as_secs_f64() && stated / 1000.0 >= MIN_SECONDS_IF_MILLISECONDS;
    let stated = lifetime(if in_milliseconds { stated / 1000.0 } else { stated });
    Some(hint.filter(|hint| *hint < stated / 10).unwrap_or(stated))
}

/// A finite number, or a string that is one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// A duration of `seconds`, `MAX_LIFETIME` at most.
fn lifetime(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME)
}

/// The lifetime from `exp` of a token that is a JWT. It is only a hint, because the signature is not
/// verified.
fn jwt_lifetime(token: &Secret, now: SystemTime) -> Option<Duration> {
    let claims = claims::decode(token.expose())?;
    let unix_now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let left = number(claims.get("exp")?)? - unix_now;
    (left > 0.0).then(|| lifetime(left))
}

fn stated_error(
    status: StatusCode,
    headers: &HeaderMap,
    code: &Value,
    description: Option<&Value>,
    now: SystemTime,
    redactor: &Redactor,
) -> SourceError {
    // Redacted before it is cut: half a secret is still a secret.
    let safe = |text: &str| sanitize(redactor.apply(text));
    let code = match code {
        Value::String(code) => safe(code),
        Value::Number(code) => code.to_string(),
        _ => "(no string)".into(),
    };
    let mut message = format!("the token endpoint answered {} with error {code}", status.as_u16());
    if let Some(description) = description.and_then(Value::as_str) {
        message.push_str(": ");
        message.push_str(&safe(description));
    }
    let is_transient = matches!(code.as_str(), "temporarily_unavailable" | "server_error" | "slow_down");
    let kind = match status.as_u16() {
        429 => SourceErrorKind::RateLimited,
        408 | 500.. => SourceErrorKind::ServerError,
        _ if is_transient => SourceErrorKind::ServerError,
        _ => SourceErrorKind::Refused,
    };
    SourceError { kind, message, retry_after: retry_after(headers, now), code: Some(code) }
}

fn status_error(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> SourceError {
    let retry_after = retry_after(headers, now);
    let (kind, note) = match status.as_u16() {
        429 => (SourceErrorKind::RateLimited, ""),
        503 if retry_after.is_some() => (SourceErrorKind::RateLimited, ""),
        408 | 500.. => (SourceErrorKind::ServerError, ""),
        300..=399 => (
            SourceErrorKind::Malformed,
            ": a redirect, which is never followed; token_url must be the endpoint itself",
        ),
        401 => (SourceErrorKind::Refused, ", without saying why"),
        // Not an OAuth error: it comes from something before the endpoint, such as a firewall, and may be
        // transient.
        400 | 403 => (SourceErrorKind::Malformed, " without an OAuth error: is something in between?"),
        _ => (SourceErrorKind::Malformed, ": is token_url the token endpoint?"),
    };
    SourceError {
        kind,
        message: format!("the token endpoint answered {}{note}", status.as_u16()),
        retry_after,
        code: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth2::sanitize::MAX_CHARACTERS;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    /// 2026-01-01T00:00:00Z
    const NOW: u64 = 1_767_225_600;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn raw(status: u16, headers: HeaderMap, body: &[u8], redactor: Redactor) -> RawResponse {
        let (status, body) = (StatusCode::from_u16(status).unwrap(), Zeroizing::new(body.to_vec()));
        RawResponse { status, headers, body, sent_at: now(), redactor }
    }

    fn answer(
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<ParsedResponse, SourceError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        parse(TokenType::Bearer, &raw(status, map, body.as_bytes(), Redactor::default()))
    }

    /// The lifetime of a good answer in milliseconds; -1 if none is known.
    fn millis(body: &str) -> i128 {
        let answer = answer(200, &[], body).unwrap();
        assert_eq!(answer.access_token.expose().split('.').count() % 2, 1);
        answer.lifetime.map_or(-1, |lifetime| lifetime.as_millis().cast_signed())
    }

    fn failure(status: u16, headers: &[(&'static str, &str)], body: &str) -> (SourceErrorKind, String) {
        let error = answer(status, headers, body).unwrap_err();
        (error.kind, error.message)
    }

    #[test]
    fn token_response_lifetime_is_read_in_every_form() {
        for (fields, expected) in [
            (r#""expires_in":3600"#, 3_600_000),
            (r#""expires_in":"3600""#, 3_600_000),
            (r#""expires_in":" 3600 ""#, 3_600_000),
            (r#""expires_in":3599.5"#, 3_599_500),
            (r#""expires_in":0"#, -1),
            (r#""expires_in":-1"#, -1),
            (r#""expires_in":null"#, -1),
            (r#""expires_in":"soon""#, -1),
            (r#""expires_in":[]"#, -1),
            (r#""expires_in":1e300"#, 2_592_000_000),
            (r#""expires_in":99999999999999999999"#, 2_592_000_000),
            (r#""expires_in":2592000"#, 2_592_000_000),
            (r#""expires_in":3600000"#, 3_600_000),
            (r#""expires_in":"28800000""#, 28_800_000),
            (r#""expires_in":true"#, -1),
            (r#""expires_in":"NaN""#, -1),
            (r#""expires_in":"inf""#, -1),
            (r#""expires_in":{"seconds":5}"#, -1),
            (r#""expires_in":"","expires_on":"1767229200""#, 3_600_000),
            (r#""expires_at":1767229200000"#, 3_600_000),
            (r#""expires_at":"2026-01-01T01:00:00Z""#, -1),
            (r#""ext_expires_in":7200,"expires_in":"3599""#, 3_599_000),
            (r#""error":null,"expires_in":1"#, 1_000),
            (r#""error":"","expires_in":1"#, 1_000),
            (r#""error":false,"expires_in":1"#, 1_000),
            (r#""expires_at":1767229200"#, 3_600_000),
            (r#""expires_on":"1767229200""#, 3_600_000),
            (r#""expires_on":"1""#, -1),
            (r#""token_type":"bearer""#, -1),
            (r#""token_type":"BEARER","expires_in":1"#, 1_000),
            (r#""token_type":"","expires_in":1"#, 1_000),
        ] {
            assert_eq!(millis(&format!(r#"{{"access_token":"abc",{fields}}}"#)), expected, "{fields}");
        }
    }

    #[test]
    fn token_response_lifetime_is_hinted_by_a_jwt() {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{}}}"#, NOW + 900));
        let body = format!(r#"{{"access_token":"e30.{claims}.sig"}}"#);
        assert_eq!(millis(&body), 900_000);
        assert!(!answer(200, &[], &body).unwrap().lifetime_is_stated);
        let stating = |seconds| format!(r#"{{"access_token":"e30.{claims}.sig","expires_in":{seconds}}}"#);
        assert_eq!(millis(&stating(600)), 600_000, "what is stated counts");
        assert_eq!(millis(&stating(3600)), 3_600_000, "a clock that is a little off changes nothing");
        assert_eq!(millis(&stating(900_000)), 900_000, "milliseconds are not seconds");
        assert_eq!(millis(r#"{"access_token":"e30.!!!.sig"}"#), -1);
    }

    #[test]
    fn token_response_may_be_a_form_or_have_any_2xx_status() {
        assert!(answer(201, &[], r#"{"access_token":"abc"}"#).is_ok());
        assert!(answer(200, &[], "\u{feff}{\"access_token\":\"abc\"}").is_ok());
        for kind in ["text/html", "text/plain", "application/x-www-form-urlencoded", "image/png"] {
            assert!(answer(200, &[("content-type", kind)], r#"{"access_token":"abc"}"#).is_ok(), "{kind}");
        }
        assert!(answer(200, &[("content-type", "text/plain")], "access_token=abc&expires_in=60").is_ok());
        let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let answer = answer(200, &form, "access_token=a%2Bc&expires_in=60&token_type=bearer").unwrap();
        assert_eq!((answer.access_token.expose(), answer.lifetime), ("a+c", Some(Duration::from_secs(60))));
    }

    #[test]
    fn token_response_errors_have_one_class_each() {
        use SourceErrorKind::{Malformed, RateLimited, Refused, ServerError};
        let html = "<html>Sign in</html>";
        for (status, body, expected) in [
            (200, "", Malformed),
            (200, html, Malformed),
            (200, "[]", Malformed),
            (200, r#"{"access_token":""}"#, Malformed),
            (200, r#"{"access_token":7}"#, Malformed),
            (200, r#"{"access_token":"a b"}"#, Malformed),
            (200, r#"{"access_token":"a\r\nX: y"}"#, Malformed),
            (200, r#"{"access_token":"abc","token_type":"mac"}"#, Malformed),
            (200, r#"{"access_token":"abc""#, Malformed),
            (200, r#"{"error":"bad_verification_code"}"#, Refused),
            (200, r#"{"ok":false,"error":"invalid_auth"}"#, Refused),
            (400, r#"{"error":"invalid_grant"}"#, Refused),
            (200, "error=bad_verification_code&error_description=The+code", Refused),
            (401, r#"{"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}"#, Refused),
            (401, r#"{"errorCode":"invalid_client","errorSummary":"no such client"}"#, Refused),
            (400, r#"{"error":{}}"#, Refused),
            (400, r#"{"error":7}"#, Refused),
            (200, r#"{"ok":false}"#, Malformed),
            (204, "", Malformed),
            (400, html, Malformed),
            (401, html, Refused),
            (403, html, Malformed),
            (401, r#"{"error":"invalid_client"}"#, Refused),
            (400, r#"{"error":"temporarily_unavailable"}"#, ServerError),
            (404, html, Malformed),
            (302, "", Malformed),
            (408, "", ServerError),
            (429, "", RateLimited),
            (500, r#"{"error":"server_error"}"#, ServerError),
            (502, html, ServerError),
            (503, "", ServerError),
        ] {
            assert_eq!(failure(status, &[], body).0, expected, "{status} {body}");
        }
        assert_eq!(failure(503, &[("retry-after", "5")], "").0, RateLimited);
    }

    #[test]
    fn token_response_error_has_retry_after() {
        let asked = |value: &str| answer(429, &[("retry-after", value)], "").unwrap_err().retry_after;
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
        let (_, message) = failure(401, &[], &body);
        assert!(
            message.starts_with("the token endpoint answered 401 with error invalid_client: no??[31m xxx")
        );
        assert!(message.len() < 300 && !message.contains("CANARY"));
        assert!(!failure(200, &[], "CANARY").1.contains("CANARY"));
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
            assert_eq!(
                failure(400, &[], body).1,
                format!("the token endpoint answered 400 with error {expected}")
            );
        }
    }

    #[test]
    fn token_response_secrets_are_redacted_before_the_cut() {
        let body =
            format!(r#"{{"error":"x","error_description":"{}CANARY"}}"#, "y".repeat(MAX_CHARACTERS - 3));
        let redactor = Redactor::default().redact_value("CANARY");
        let answer = raw(400, HeaderMap::new(), body.as_bytes(), redactor);
        let error = parse(TokenType::Bearer, &answer).unwrap_err();
        assert!(!error.message.contains("CAN"), "{}", error.message);
    }

    #[test]
    fn token_response_tokens_are_redacted_whatever_they_look_like() {
        for token in ["CANARY-token", "CANARY://token"] {
            let body =
                format!(r#"{{"access_token":"{token}","error":"x","error_description":"of {token}"}}"#);
            let (_, message) = failure(400, &[], &body);
            assert!(!message.contains("CANARY"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn token_response_never_panics_and_has_no_control_characters(status in 100u16..600, body: Vec<u8>, form: bool) {
            let mut headers = HeaderMap::new();
            if form {
                headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
            }
            match parse(TokenType::Bearer, &raw(status, headers, &body, Redactor::default())) {
                Ok(answer) => prop_assert!(answer.access_token.expose().bytes().all(|b| b.is_ascii_graphic())),
                Err(error) => prop_assert!(!error.message.chars().any(char::is_control)),
            }
        }
    }
}
