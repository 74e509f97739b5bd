//! What may be shown of a token that is a JWT: whom it is from and for, how long, and what it allows.
//!
//! Neither the token nor its signature, and no claim that says who a person is (`sub`, `email`, names).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::sanitize::sanitize;
use super::token::AccessToken;

/// Claims about the token, not about people: RFC 7519 §4.1, RFC 9068 §2.2, and Entra's names for the same.
const PUBLIC_CLAIMS: [&str; 13] = [
    "iss",
    "aud",
    "iat",
    "nbf",
    "exp",
    "scope",
    "scp",
    "roles",
    "client_id",
    "azp",
    "appid",
    "tid",
    "token_use",
];

/// The claims that may be shown, in a fixed order; `None` of a token that is no JWT. Nothing is verified: it is for the
/// upstream to believe the token.
pub fn public_claims(token: &AccessToken) -> Option<Map<String, Value>> {
    let (_scheme, value) = token.header.to_str().ok()?.split_once(' ')?;
    let claims = decode(value)?;
    let shown =
        PUBLIC_CLAIMS.iter().filter_map(|name| Some(((*name).to_owned(), public_value(claims.get(*name)?)?)));
    Some(shown.collect())
}

/// The claims of a token in the form of a JWS (RFC 7515 §3.1): three parts, of which the second is a JSON object; `None` for
/// any other token. The signature is not verified.
pub(crate) fn decode(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

/// Numbers, short text, and lists of it; anything else is left out.
fn public_value(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::String(text) => Some(sanitize(text).into()),
        Value::Array(values) => {
            let texts = values.iter().take(20).filter_map(Value::as_str).map(sanitize);
            Some(texts.collect::<Vec<_>>().into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth2::token::TokenResponse;
    use crate::refresh::{ClockReading, Expiry};
    use crate::secret::Secret;
    use serde_json::json;
    use std::time::Duration;

    fn shown_of(value: String) -> Option<Map<String, Value>> {
        let issued = TokenResponse {
            access_token: Secret::new(value).unwrap(),
            expiry: Expiry::after(ClockReading::now(), Duration::from_secs(60)),
            scope: None,
            refresh_token: None,
        };
        public_claims(&AccessToken::new(&issued, None).unwrap())
    }

    #[test]
    fn shows_what_is_about_the_token_and_nothing_about_people() {
        let claims = json!({
            "iss": "https://login.example", "aud": ["a", "b", 7], "exp": 1, "sub": "CANARY", "email": "CANARY",
            "name": "CANARY", "cnf": { "jkt": "CANARY" }, "scope": "read\u{1b}[31m", "jti": "CANARY",
        });
        let token = format!("e30.{}.CANARY", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let shown = Value::Object(shown_of(token).unwrap());
        let expected =
            json!({ "iss": "https://login.example", "aud": ["a", "b"], "exp": 1, "scope": "read?[31m" });
        assert_eq!(shown, expected);
    }

    #[test]
    fn shows_nothing_of_what_is_no_jwt() {
        for token in ["opaque", "a.b", "a.!!!.c", "e30.W10.x", "e30.e30"] {
            assert_eq!(shown_of(token.into()), None, "{token}");
        }
    }
}
