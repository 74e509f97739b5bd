//! The claims of a token that is a JWT, and which of them may be shown: issuer, audience, times, and what the
//! token allows.
//!
//! Never shown are the token, its signature, and any claim that identifies a person (`sub`, `email`, names).

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::sanitize::sanitize;
use super::token::AccessToken;

/// Claims about the token, not about people: RFC 7519 §4.1, RFC 9068 §2.2, and Entra's names for them.
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

/// Base64url with or without padding, which some issuers add.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The claims that may be shown, in a fixed order; `None` if the token is not a JWT. The signature is not
/// verified: only the upstream decides whether it accepts the token.
pub fn public_claims(token: &AccessToken) -> Option<Map<String, Value>> {
    let claims = decode(token.value().expose())?;
    let public =
        PUBLIC_CLAIMS.iter().filter_map(|name| Some(((*name).to_owned(), public_value(claims.get(*name)?)?)));
    Some(public.collect())
}

/// The claims of a token in the form of a JWS (RFC 7515 §3.1): three parts, of which the second is a JSON
/// object; `None` for any other token. The signature is not verified.
pub(crate) fn decode(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&BASE64URL.decode(claims).ok()?).ok()
}

/// A claim that is a number, a text or a list of texts, sanitized; `None` for any other.
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
    use crate::config::auth::placement::Placement;
    use crate::oauth2::token::IssuedToken;
    use crate::refresh::{ClockReading, Expiry};
    use crate::secret::Secret;
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
    use serde_json::json;
    use std::time::Duration;

    fn claims_of(value: String) -> Option<Map<String, Value>> {
        let issued = IssuedToken {
            value: Secret::new(value).unwrap(),
            expiry: Expiry::after(ClockReading::now(), Duration::from_secs(60)),
            scope: None,
        };
        public_claims(&AccessToken::new(&issued, None, &Placement::bearer()).unwrap())
    }

    #[test]
    fn public_claims_are_about_the_token_and_not_about_people() {
        let claims = json!({
            "iss": "https://login.example", "aud": ["a", "b", 7], "exp": 1, "sub": "CANARY", "email": "CANARY",
            "name": "CANARY", "cnf": { "jkt": "CANARY" }, "scope": "read\u{1b}[31m", "jti": "CANARY",
        });
        let token = format!("e30.{}.CANARY", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let shown = Value::Object(claims_of(token).unwrap());
        let expected =
            json!({ "iss": "https://login.example", "aud": ["a", "b"], "exp": 1, "scope": "read?[31m" });
        assert_eq!(shown, expected);
    }

    #[test]
    fn claims_may_be_padded() {
        let claims = json!({ "exp": 1, "a": "" }).to_string();
        for encoded in [URL_SAFE.encode(&claims), URL_SAFE_NO_PAD.encode(&claims)] {
            assert_eq!(decode(&format!("e30.{encoded}.x")).unwrap()["exp"], 1, "{encoded}");
        }
    }

    #[test]
    fn public_claims_are_none_if_the_token_is_not_a_jwt() {
        for token in ["opaque", "a.b", "a.!!!.c", "e30.W10.x", "e30.e30"] {
            assert_eq!(claims_of(token.into()), None, "{token}");
        }
    }
}
