//! Client authentication at a token endpoint (RFC 6749 §2.3.1, RFC 7523 §2.2, RFC 8705 §2). Only the
//! configured method is used; no other one is tried.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use http::HeaderValue;
use serde_json::{Map, json};
use zeroize::Zeroizing;

use super::presented_assertion;
use crate::config::{ASSERTION_TYPE, Assertion, BasicEncoding, ClientAuth};
use crate::oauth2::jws;
use crate::refresh::{ClockReading, SourceError, SourceErrorKind};
use crate::secret::SigningError;

/// What client authentication adds to a token request: a header field or form fields.
pub(crate) enum ClientAuthentication {
    /// An `Authorization` field.
    Header(HeaderValue),
    /// Form fields.
    Form(Vec<(&'static str, Zeroizing<String>)>),
}

impl ClientAuthentication {
    /// The form fields; empty if it is a header field.
    pub(crate) fn form_fields(&self) -> &[(&'static str, Zeroizing<String>)] {
        match self {
            Self::Header(_) => &[],
            Self::Form(fields) => fields,
        }
    }
}

/// Time from `iat` to `exp` of an assertion: long enough for a slow connection, and the longest for which
/// Keycloak accepts its `iat`.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// The authentication for one request. `audience` is the audience of an assertion if the configuration has
/// none.
pub(crate) async fn authenticate(
    client_id: &str,
    auth: &ClientAuth,
    audience: &str,
) -> Result<ClientAuthentication, SourceError> {
    let local = |error: SigningError| SourceError::new(SourceErrorKind::Local, error.to_string());
    // For methods that do not contain the client id otherwise (RFC 6749 §3.2.1, RFC 8705 §2).
    let id = || ("client_id", Zeroizing::new(client_id.to_owned()));
    Ok(match auth {
        ClientAuth::SecretBasic { secret, encoding } => {
            ClientAuthentication::Header(basic(client_id, secret.expose(), *encoding))
        }
        ClientAuth::SecretPost { secret } => ClientAuthentication::Form(vec![
            id(),
            ("client_secret", Zeroizing::new(secret.expose().to_owned())),
        ]),
        // The client id is redundant beside an assertion (RFC 7521 §4.2), but some providers require it.
        ClientAuth::SecretJwt { assertion, .. } | ClientAuth::PrivateKeyJwt(assertion) => {
            ClientAuthentication::Form(vec![
                id(),
                ("client_assertion_type", Zeroizing::new(ASSERTION_TYPE.to_owned())),
                ("client_assertion", signed_assertion(client_id, assertion, audience).map_err(local)?),
            ])
        }
        ClientAuth::Presented { assertion, kind } => {
            let assertion = presented_assertion::read(assertion).await?;
            ClientAuthentication::Form(vec![
                id(),
                ("client_assertion_type", Zeroizing::new(kind.clone())),
                ("client_assertion", Zeroizing::new(assertion.expose().to_owned())),
            ])
        }
        // The grant itself identifies the client.
        ClientAuth::None if client_id.is_empty() => ClientAuthentication::Form(Vec::new()),
        ClientAuth::TlsClientAuth | ClientAuth::SelfSignedTlsClientAuth | ClientAuth::None => {
            ClientAuthentication::Form(vec![id()])
        }
    })
}

fn basic(client_id: &str, secret: &str, encoding: BasicEncoding) -> HeaderValue {
    let part = |text: &str| match encoding {
        BasicEncoding::Rfc6749 => byte_serialize(text.as_bytes()).collect::<String>(),
        BasicEncoding::Raw => text.to_owned(),
    };
    let pair = Zeroizing::new(format!("{}:{}", part(client_id), part(secret)));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut header = HeaderValue::from_str(&value).expect("Base64 is a valid header value");
    header.set_sensitive(true);
    header
}

/// A client assertion with the claims of RFC 7523 §3. It has no `nbf`: `iat` says as much.
fn signed_assertion(
    client_id: &str,
    assertion: &Assertion,
    audience: &str,
) -> Result<Zeroizing<String>, SigningError> {
    let issued = jws::issued_at(ClockReading::now(), ASSERTION_LIFETIME);
    let mut header = vec![("typ", json!("JWT"))];
    header.extend(assertion.key_id.iter().map(|id| ("kid", json!(id))));
    header.extend(assertion.thumbprint.iter().map(|digest| ("x5t#S256", json!(jws::base64url(digest)))));
    let mut claims = Map::new();
    for (name, value) in [
        ("iss", json!(client_id)),
        ("sub", json!(client_id)),
        ("aud", json!(assertion.audience.as_deref().unwrap_or(audience))),
        ("jti", json!(jws::random_id()?)),
        ("iat", json!(issued)),
        ("exp", json!(issued + ASSERTION_LIFETIME.as_secs())),
    ] {
        claims.insert(name.into(), value);
    }
    jws::sign(&assertion.key, &header, &claims)
}

/// What the operator can try if the endpoint answers `invalid_client`. Sidekey does not try it by itself:
/// that would cost one rejected request for each token request, and with some providers the account.
pub(crate) fn invalid_client_advice(auth: &ClientAuth) -> &'static str {
    match auth {
        ClientAuth::SecretBasic { encoding: BasicEncoding::Rfc6749, .. } => {
            "if client_id and client_secret are right, try `auth_method: client_secret_post`, or \
             `basic_auth_encoding: raw` if they have special characters"
        }
        ClientAuth::SecretBasic { encoding: BasicEncoding::Raw, .. } => {
            "if client_id and client_secret are right, try `auth_method: client_secret_post`, or leave out \
             `basic_auth_encoding`"
        }
        ClientAuth::SecretPost { .. } => {
            "if client_id and client_secret are right, try `auth_method: client_secret_basic`"
        }
        ClientAuth::SecretJwt { .. } => {
            "if client_id and client_secret are right, look at `signing_alg` and `assertion_audience` (some want the issuer, \
             some the token endpoint) and at this machine's clock; or try `auth_method: client_secret_basic`"
        }
        ClientAuth::PrivateKeyJwt(_) => {
            "is the public key registered there, under `key_id`? Look at `signing_alg`, at `assertion_audience` (some want the \
             issuer, some the token endpoint) and at this machine's clock; or try `auth_method: client_secret_basic`"
        }
        ClientAuth::Presented { .. } => {
            "does the provider trust the issuer of the assertion, and are its subject (`sub`) and its audience (`aud`) those that are \
             registered for this client, letter by letter? Is this machine's clock right?"
        }
        ClientAuth::TlsClientAuth => {
            "does the certificate have the subject that is registered there? Some have another host for clients with \
             certificates; or try `auth_method: self_signed_tls_client_auth`"
        }
        ClientAuth::SelfSignedTlsClientAuth => {
            "is this very certificate registered there? Some have another host for clients with certificates; or try \
             `auth_method: tls_client_auth`"
        }
        ClientAuth::None => {
            "it may want proof of who the client is: give a `client_secret` and try `auth_method: client_secret_basic`"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Secret, SigningKey};
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::Value;

    async fn decoded(encoding: BasicEncoding) -> String {
        let secret = Secret::new("p@ss %+&=:é".into()).unwrap();
        let auth = ClientAuth::SecretBasic { secret, encoding };
        let Ok(ClientAuthentication::Header(value)) = authenticate("weird:id+&", &auth, "").await else {
            panic!("a header")
        };
        assert!(value.is_sensitive());
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn basic_auth_is_form_encoded_or_raw() {
        assert_eq!(decoded(BasicEncoding::Rfc6749).await, "weird%3Aid%2B%26:p%40ss+%25%2B%26%3D%3A%C3%A9");
        assert_eq!(decoded(BasicEncoding::Raw).await, "weird:id+&:p@ss %+&=:é");
    }

    #[tokio::test]
    async fn empty_client_secret_is_sent_as_such() {
        let auth = ClientAuth::SecretBasic { secret: Secret::empty(), encoding: BasicEncoding::Rfc6749 };
        let Ok(ClientAuthentication::Header(value)) = authenticate("me", &auth, "").await else {
            panic!("a header")
        };
        assert_eq!(value, format!("Basic {}", STANDARD.encode("me:")));
        let post = authenticate("me", &ClientAuth::SecretPost { secret: Secret::empty() }, "")
            .await
            .unwrap_or_else(|_| panic!());
        let fields: Vec<_> = post.form_fields().iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(fields, [("client_id", "me"), ("client_secret", "")]);
    }

    #[test]
    fn assertion_has_the_claims_of_rfc_7523_and_a_unique_jti() {
        let key = SigningKey::ephemeral().unwrap();
        let assertion =
            Assertion { key, key_id: Some("k1".into()), audience: None, thumbprint: Some([7; 32]) };
        let read = || {
            let token = signed_assertion("me", &assertion, "https://login.example.com/token").unwrap();
            let part = |index| {
                let part = token.split('.').nth(index).unwrap();
                serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
            };
            (part(0), part(1))
        };
        let (header, claims) = read();
        let thumbprint = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
        assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "k1", "x5t#S256": thumbprint }));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("me"), &json!("me")));
        assert_eq!(claims["aud"], "https://login.example.com/token");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
        let now = ClockReading::now().unix_seconds();
        assert!(
            claims["iat"].as_f64().unwrap() <= now - 10.0 && claims["exp"].as_f64().unwrap() >= now + 30.0
        );
        assert_ne!(claims["jti"], read().1["jti"]);
    }
}
