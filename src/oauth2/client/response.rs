//! Parses the answers of token endpoints: RFC 6749 §5, and what real providers send instead.
//!
//! A pure function of status, headers and body. The result is a token or one classified error.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::chosen_token::ChosenToken;
use super::raw_response::RawResponse;
use super::response_error::with_tokens;
use super::response_members::parse_token;
use super::stated_end::StatedEnd;
use super::token_type::TokenType;
use crate::config::TokenField;
use crate::oauth2::sanitize::sanitize;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::Secret;

/// A token response, parsed.
#[derive(Debug)]
pub(crate) struct ParsedResponse {
    /// The access token, or why it cannot be used. It is an error only beside a refresh token, which must not
    /// be lost with it.
    pub(crate) access: Result<ParsedToken, SourceError>,
    /// `refresh_token`, if it can be used.
    pub(crate) refresh_token: Option<Secret>,
}

/// An access token, parsed.
#[derive(Debug)]
pub(crate) struct ParsedToken {
    /// `access_token`, without an authentication scheme.
    pub(crate) value: Secret,
    /// What is stated of its end.
    pub(crate) end: StatedEnd,
    /// `scope`, redacted and sanitized.
    pub(crate) scope: Option<String>,
}

/// What is expected of a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// The type of the token.
    pub(crate) token_type: TokenType,
    /// Another name that is accepted for it.
    pub(crate) accepted: Option<&'a str>,
    /// The member that is the token, if it is another one than the access token.
    pub(crate) field: Option<&'a TokenField>,
}

/// Parses the answer to a token request.
pub(crate) fn parse(expected: Expected<'_>, answer: &RawResponse) -> Result<ParsedResponse, SourceError> {
    let (mut members, chosen) = parse_token(answer, expected.field)?;
    let refresh_token = match members.remove("refresh_token") {
        Some(Value::String(token)) => Secret::new(token).ok(),
        _ => None,
    };
    let access = access_token(expected, answer, &mut members, chosen).map_err(|message| SourceError {
        status: Some(answer.status.as_u16()),
        ..SourceError::new(SourceErrorKind::Malformed, message)
    });
    match (access, refresh_token) {
        (Err(error), None) => Err(error),
        (access, refresh_token) => Ok(ParsedResponse { access, refresh_token }),
    }
}

fn access_token(
    expected: Expected<'_>,
    answer: &RawResponse,
    members: &mut Map<String, Value>,
    chosen: Option<ChosenToken>,
) -> Result<ParsedToken, String> {
    let redactor = &with_tokens(&answer.redactor, members, chosen.as_ref());
    // The type is that of the access token.
    let is_access_token = expected.field.is_none_or(TokenField::is_access_token);
    if is_access_token && let Some(message) = expected.token_type.reject(members, expected.accepted, redactor)
    {
        return Err(message);
    }
    let (token, around) = match (expected.field, chosen) {
        (None, _) => (members.remove("access_token"), Vec::new()),
        (Some(_), Some(chosen)) => (Some(chosen.value), chosen.around),
        (Some(_), None) => (None, Vec::new()),
    };
    let name = expected.field.map_or("access_token".into(), |field| sanitize(field.as_str()));
    let value = match token {
        Some(Value::String(token)) => valid_token(expected.token_type, token)
            .ok_or_else(|| format!("the token ({name}) has characters that cannot be sent in a header"))?,
        _ => return Err(format!("the token endpoint's answer has no {name}")),
    };
    Ok(ParsedToken {
        end: end(members, &around, &value, answer),
        scope: members.get("scope").and_then(Value::as_str).map(|scope| sanitize(redactor.apply(scope))),
        value,
    })
}

/// What is stated of the end of a token: for a chosen member by the nearest object around it that states anything, otherwise by
/// the answer.
fn end(
    members: &Map<String, Value>,
    around: &[Map<String, Value>],
    token: &Secret,
    answer: &RawResponse,
) -> StatedEnd {
    let of = |members| StatedEnd::of(members, token.expose(), answer.sent_at);
    let mut near = around.iter().map(of);
    let near = near.find(|end| end.stated.is_some() || end.not_understood.is_some());
    near.unwrap_or_else(|| of(members))
}

/// A token that can be sent in a header: visible ASCII. The syntax of RFC 6750 §2.1 is narrower, but not all
/// providers follow it. The scheme, which some put in front of it, is not part of it.
fn valid_token(kind: TokenType, token: String) -> Option<Secret> {
    let token = Zeroizing::new(token);
    let mut bare = token.trim();
    while let Some((scheme, rest)) = bare.split_once(char::is_whitespace) {
        if !kind.is_scheme(scheme.trim_end_matches(':')) {
            break;
        }
        bare = rest.trim_start();
    }
    if kind.is_scheme(bare) {
        // A scheme without a token.
        return None;
    }
    let visible = bare.bytes().all(|byte| byte.is_ascii_graphic());
    if visible { Secret::new(bare.to_owned()).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use proptest::prelude::*;
    use std::time::Duration;

    const BEARER: Expected<'static> = Expected { token_type: TokenType::Bearer, accepted: None, field: None };

    fn answer(
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<ParsedResponse, SourceError> {
        parse(BEARER, &RawResponse::for_test(status, headers, body.as_bytes()))
    }

    fn token(body: &str) -> String {
        answer(200, &[], body).unwrap().access.unwrap().value.expose().to_owned()
    }

    #[test]
    fn token_response_may_be_a_form_or_have_any_2xx_status() {
        assert!(answer(201, &[], r#"{"access_token":"abc"}"#).is_ok());
        for kind in ["text/html", "text/plain", "application/x-www-form-urlencoded", "image/png"] {
            assert!(answer(200, &[("content-type", kind)], r#"{"access_token":"abc"}"#).is_ok(), "{kind}");
        }
        assert!(answer(200, &[("content-type", "text/plain")], "access_token=abc&expires_in=60").is_ok());
        let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let answer = answer(200, &form, "access_token=a%2Bc&expires_in=60&token_type=bearer").unwrap();
        let access = answer.access.unwrap();
        let stated = access.end.stated.map(|(left, _)| left);
        assert_eq!((access.value.expose(), stated), ("a+c", Some(Duration::from_secs(60))));
    }

    #[test]
    fn token_response_without_a_usable_token_is_malformed() {
        for body in [
            r#"{"access_token":""}"#,
            r#"{"access_token":" "}"#,
            r#"{"access_token":"Bearer "}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"Basic abc"}"#,
            r#"{"access_token":"Bearer a b"}"#,
            r#"{"access_token":"a\r\nX: y"}"#,
            r#"{"access_token":"abc","token_type":"mac"}"#,
            r#"{"ok":false}"#,
        ] {
            let error = answer(200, &[], body).unwrap_err();
            assert_eq!((error.kind, error.status), (SourceErrorKind::Malformed, Some(200)), "{body}");
        }
    }

    #[test]
    fn token_response_without_a_usable_token_keeps_its_refresh_token() {
        for rest in [r#""access_token":"abc","token_type":"mac""#, r#""access_token":"a b""#, r#""x":1"#] {
            let answer = answer(200, &[], &format!(r#"{{"refresh_token":"next",{rest}}}"#)).unwrap();
            assert_eq!(answer.access.unwrap_err().kind, SourceErrorKind::Malformed, "{rest}");
            assert_eq!(answer.refresh_token.unwrap().expose(), "next");
        }
    }

    #[test]
    fn access_token_has_no_scheme() {
        for value in [
            "abc",
            "Bearer abc",
            "bearer abc",
            "BEARER  abc",
            "Bearer: abc",
            " abc\n",
            "Bearer abc ",
            "Bearer\tabc",
            "Bearer Bearer abc",
            "Token abc",
            "JWT abc",
        ] {
            assert_eq!(token(&serde_json::json!({ "access_token": value }).to_string()), "abc", "{value}");
        }
    }

    #[test]
    fn error_that_says_nothing_does_not_hide_a_token() {
        for error in ["null", "false", "0", "0.0", "\"\"", "\" \"", "[]", "{}", "\"0\"", "\"none\""] {
            let body = format!(r#"{{"error":{error},"errorCode":0,"access_token":"abc"}}"#);
            assert_eq!(token(&body), "abc", "{error}");
        }
        for error in ["1", "true", "\"x\"", "[1]"] {
            let body = format!(r#"{{"error":{error},"access_token":"abc"}}"#);
            assert_eq!(answer(200, &[], &body).unwrap_err().kind, SourceErrorKind::Refused, "{error}");
        }
    }

    #[test]
    fn scope_that_repeats_the_token_is_redacted() {
        let body = r#"{"access_token":"Bearer abcdefgh","scope":"read abcdefgh"}"#;
        let scope = answer(200, &[], body).unwrap().access.unwrap().scope.unwrap();
        assert!(!scope.contains("abcdefgh"), "{scope}");
    }

    #[test]
    fn token_response_tokens_are_redacted_whatever_they_look_like() {
        for token in ["CANARY-token", "CANARY://token"] {
            let body =
                format!(r#"{{"access_token":"{token}","error":"x","error_description":"of {token}"}}"#);
            let message = answer(400, &[], &body).unwrap_err().message;
            assert!(!message.contains("CANARY"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn token_response_never_panics_and_has_no_control_characters(status in 100u16..600, body: Vec<u8>, form: bool) {
            let mut answer = RawResponse::for_test(status, &[], &body);
            if form {
                answer.headers = HeaderMap::from_iter([(
                    http::header::CONTENT_TYPE,
                    http::HeaderValue::from_static("application/x-www-form-urlencoded"),
                )]);
            }
            match parse(BEARER, &answer) {
                Ok(answer) => if let Ok(access) = answer.access {
                    prop_assert!(access.value.expose().bytes().all(|b| b.is_ascii_graphic()));
                },
                Err(error) => prop_assert!(!error.message.chars().any(char::is_control)),
            }
        }
    }
}
