//! Client assertions that another program issues (RFC 7523 §2.2): the token of a workload, such as a projected service-account
//! token of Kubernetes or a JWT-SVID of SPIFFE. Sidekey presents them as they are.

use std::time::SystemTime;

use super::expired::expired;
use super::fresh_secret;
use crate::refresh::{SourceError, SourceErrorKind};
use crate::secret::{Secret, Source};

/// Reads the assertion for one token request.
///
/// # Errors
///
/// If the source gives none, if it is no JWT, or if it has expired. Nothing is sent then: the token endpoint would count the
/// attempt.
pub(super) async fn read(source: &Source) -> Result<Secret, SourceError> {
    let assertion = fresh_secret::read("client_assertion", source).await?;
    check(assertion.expose(), SystemTime::now()).map_err(|why| {
        SourceError::new(
            SourceErrorKind::Local,
            format!("client_assertion ({source:?}) cannot be used: {why}"),
        )
    })?;
    Ok(assertion)
}

/// Whether a text can be an assertion at this time. Its signature is not verified: that is up to the token endpoint.
fn check(assertion: &str, now: SystemTime) -> Result<(), String> {
    if !is_jwt(assertion) {
        return Err("it is no JWT (three parts in Base64url, with dots between)".into());
    }
    expired(assertion, now).map_or(Ok(()), Err)
}

/// Whether a text has the form of a JWS or a JWE (RFC 7515 §3.1, RFC 7516 §3.1).
fn is_jwt(text: &str) -> bool {
    let is_base64url = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let parts: Vec<_> = text.split('.').collect();
    matches!(parts.len(), 3 | 5) && !parts[0].is_empty() && parts.into_iter().all(is_base64url)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn checked(assertion: &str) -> Result<(), String> {
        check(assertion, UNIX_EPOCH + Duration::from_secs(1_000_000_000))
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn assertion_is_a_jwt_that_has_not_expired() {
        for assertion in
            [jwt(r#"{"exp":1000000001}"#), jwt(r#"{"sub":"a"}"#), "a.b.c.d.e".into(), "a.b.".into()]
        {
            assert_eq!(checked(&assertion), Ok(()), "{assertion}");
        }
        for (exp, said) in [
            (1_000_000_000, "expired 0 s ago"),
            (999_999_000, "expired 16 min ago"),
            (999_900_000, "27 h ago"),
        ] {
            let error = checked(&jwt(&format!(r#"{{"exp":{exp}}}"#))).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn assertion_that_is_no_jwt_is_not_repeated() {
        for text in [
            "CANARY",
            "CANARY.b",
            "..",
            "CANARY.b.c.d",
            "CANARY b.c.d",
            "<html>CANARY</html>",
            "{\"CANARY\":1}",
        ] {
            let error = checked(text).unwrap_err();
            assert!(error.contains("no JWT") && !error.contains("CANARY"), "{text}: {error}");
        }
    }
}
