//! `authorization_code` (RFC 6749 §4.1) with PKCE (RFC 7636, S256) and `state`: the URL that `sidekey login`
//! sends a person's browser to, the verification of the callback, and the token request with its code.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use url::Url;
use zeroize::Zeroizing;

use crate::config::{AuthorizationCode, OAuth2};
use crate::oauth2::client::discovery::ExpectedIssuer;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::sanitize::sanitize;
use crate::oauth2::token::TokenResponse;
use crate::refresh::SourceError;
use crate::secret::Secret;

/// One login, which accepts one callback.
pub struct AuthorizationRequest {
    url: Url,
    redirect_uri: String,
    state: Secret,
    verifier: Secret,
    issuer: Option<ExpectedIssuer>,
}

/// Why a callback from the authorization endpoint has no usable code. The error never contains a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// The callback does not belong to this login: it is that of another or an older login, or an attack.
    #[error("this answer does not belong to this login: its `state` differs")]
    StateMismatch,
    /// The person or the provider denied the request.
    #[error("the provider answered with error {0}")]
    Denied(String),
    /// The callback comes from another provider (RFC 9207).
    #[error("the answer comes from another provider: its `iss` is not `issuer` of the configuration")]
    IssuerMismatch,
    /// The callback names no provider, although this provider always names itself (RFC 9207 §2.4).
    #[error(
        "the answer has no `iss`, which the provider's metadata promises: it may come from another provider"
    )]
    IssuerMissing,
    /// A parameter is missing, repeated or invalid.
    #[error("this answer is malformed: it does not have exactly one valid `{0}`")]
    Malformed(&'static str),
}

impl AuthorizationError {
    /// Whether the callback ends the login. Anybody can send the other ones.
    pub fn ends_login(&self) -> bool {
        match self {
            Self::Denied(_) | Self::IssuerMismatch | Self::IssuerMissing => true,
            Self::StateMismatch | Self::Malformed(_) => false,
        }
    }
}

impl AuthorizationRequest {
    /// A new login of this client at the authorization endpoint `url`. `issuer` is the provider, if its
    /// identifier is known.
    pub fn new(
        config: &OAuth2,
        grant: &AuthorizationCode,
        mut url: Url,
        redirect_uri: &str,
        issuer: Option<ExpectedIssuer>,
    ) -> Self {
        let (state, verifier) = (random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()));
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code").append_pair("client_id", &config.client_id);
            query.append_pair("redirect_uri", redirect_uri);
            if !config.scopes.is_empty() {
                query.append_pair("scope", &config.scopes.join(" "));
            }
            query.append_pair("state", state.expose());
            query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
            query.extend_pairs(&grant.authorization_params);
        }
        Self { url, redirect_uri: redirect_uri.to_owned(), state, verifier, issuer }
    }

    /// The URL that the person has to open. It contains no secret: `state` and the challenge are useless to
    /// others.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The code in the query of the callback.
    pub fn code(&self, query: &str) -> Result<Secret, AuthorizationError> {
        let only = |name: &'static str| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (first, None) => Ok(first.map(|(_, value)| Zeroizing::new(value.into_owned()))),
                _ => Err(AuthorizationError::Malformed(name)),
            }
        };
        // A repeated `state` matches no login, even if one of the values is right.
        let state = only("state").ok().flatten().ok_or(AuthorizationError::StateMismatch)?;
        // In constant time, so that it cannot be guessed character by character.
        if !bool::from(state.as_bytes().ct_eq(self.state.expose().as_bytes())) {
            return Err(AuthorizationError::StateMismatch);
        }
        let (iss, code, error) = (only("iss")?, only("code")?, only("error")?);
        if error.is_some() == code.is_some() {
            return Err(AuthorizationError::Malformed("code"));
        }
        // Errors have an `iss` as well (RFC 9207 §2.2).
        match (&self.issuer, iss) {
            (Some(expected), Some(iss)) if expected.identifier != *iss => {
                return Err(AuthorizationError::IssuerMismatch);
            }
            (Some(ExpectedIssuer { is_in_responses: true, .. }), None) => {
                return Err(AuthorizationError::IssuerMissing);
            }
            _ => {}
        }
        if let Some(error) = error {
            if error.is_empty() {
                return Err(AuthorizationError::Malformed("error"));
            }
            let description = only("error_description")?;
            let described = description.map(|text| format!(": {}", sanitize(&text))).unwrap_or_default();
            return Err(AuthorizationError::Denied(sanitize(&error) + &described));
        }
        let code = code.unwrap_or_default();
        Secret::new(code.to_string()).map_err(|_| AuthorizationError::Malformed("code"))
    }

    /// Requests a token with the code (RFC 6749 §4.1.3).
    pub async fn exchange(
        &self,
        endpoint: &TokenEndpoint,
        code: &Secret,
    ) -> Result<TokenResponse, SourceError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", self.verifier.expose()),
        ];
        endpoint.request(&fields).await
    }
}

/// 256 random bits (RFC 7636 §7.1) as 43 characters that need no encoding.
fn random() -> Secret {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut *bytes).expect("the system has random numbers");
    Secret::new(URL_SAFE_NO_PAD.encode(*bytes)).expect("Base64 has no control characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://login.example.com";

    fn request(is_in_responses: Option<bool>) -> AuthorizationRequest {
        let config = "
services:
  crm:
    upstream: https://crm.example.com
    auth:
      type: oauth2
      grant_type: authorization_code
      authorization_url: https://login.example.com/authorize?tenant=1
      token_url: https://login.example.com/token
      client_id: 'crm app'
      scopes: [read, write]
      authorization_params: { prompt: consent }
";
        let config = crate::config::Config::parse(config, "test", crate::credential::READERS).unwrap();
        let oauth2 = config.services[0].auth.settings::<crate::config::OAuth2>().unwrap();
        let crate::config::Grant::AuthorizationCode(grant) = &oauth2.grant else { panic!() };
        let url = grant.authorization_url.clone().unwrap();
        let issuer = is_in_responses
            .map(|is_in_responses| ExpectedIssuer { identifier: ISSUER.to_owned(), is_in_responses });
        AuthorizationRequest::new(oauth2, grant, url, "http://127.0.0.1:7/callback", issuer)
    }

    #[test]
    fn authorization_url_has_the_challenge_of_the_verifier() {
        let request = request(None);
        let pairs: Vec<_> = request.url().query_pairs().into_owned().collect();
        let value = |name: &str| pairs.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "tenant",
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
            "prompt",
        ];
        assert_eq!(names, expected);
        assert_eq!((value("response_type").as_str(), value("client_id").as_str()), ("code", "crm app"));
        assert_eq!(value("redirect_uri"), "http://127.0.0.1:7/callback");
        assert_eq!(value("scope"), "read write");
        let hash = digest::digest(&digest::SHA256, request.verifier.expose().as_bytes());
        assert_eq!(value("code_challenge"), URL_SAFE_NO_PAD.encode(hash));
        assert_eq!(request.verifier.expose().len(), 43);
        assert!(!request.url().as_str().contains(request.verifier.expose()));
        assert_ne!(request.state, request.verifier);
        assert_ne!(request.state, self::request(None).state);
    }

    /// RFC 7636, appendix B.
    #[test]
    fn pkce_challenge_is_that_of_rfc_7636() {
        let hash = digest::digest(&digest::SHA256, b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(URL_SAFE_NO_PAD.encode(hash), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn authorization_callback_must_belong_to_the_login() {
        let request = request(Some(false));
        let state = request.state.expose();
        let code = |query: &str| request.code(&query.replace("STATE", state));
        assert_eq!(code("code=a%2Bb&state=STATE").unwrap().expose(), "a+b");
        let iss = "iss=https%3A%2F%2Flogin.example.com";
        assert!(code(&format!("code=a&state=STATE&{iss}")).is_ok());
        for (query, expected) in [
            ("", AuthorizationError::StateMismatch),
            ("code=a", AuthorizationError::StateMismatch),
            ("code=a&state=", AuthorizationError::StateMismatch),
            ("code=a&state=STATEx", AuthorizationError::StateMismatch),
            ("error=access_denied", AuthorizationError::StateMismatch),
            ("code=a&state=STATE&state=STATE", AuthorizationError::StateMismatch),
            ("code=a&state=STATE&st%61te=x", AuthorizationError::StateMismatch),
            ("state=x&state=y", AuthorizationError::StateMismatch),
            ("code=a&error=b&state=STATE", AuthorizationError::Malformed("code")),
            ("error=&state=STATE", AuthorizationError::Malformed("error")),
            ("error=a&error=b&state=STATE", AuthorizationError::Malformed("error")),
            ("code=a&iss=b&iss=c&state=STATE", AuthorizationError::Malformed("iss")),
            ("code=a&code=b&state=STATE", AuthorizationError::Malformed("code")),
            ("code=&state=STATE", AuthorizationError::Malformed("code")),
            ("code=a%0Ab&state=STATE", AuthorizationError::Malformed("code")),
            ("state=STATE", AuthorizationError::Malformed("code")),
            ("code=a&state=STATE&iss=https%3A%2F%2Fevil.example", AuthorizationError::IssuerMismatch),
            ("code=a&state=STATE&iss=https%3A%2F%2Flogin.example.com%2F", AuthorizationError::IssuerMismatch),
            ("error=access_denied&state=STATE", AuthorizationError::Denied("access_denied".into())),
            (
                "error=a%1B%5B2J&error_description=b%0Ac&state=STATE",
                AuthorizationError::Denied("a?[2J: b?c".into()),
            ),
        ] {
            assert_eq!(code(query).unwrap_err(), expected, "{query}");
        }
    }

    #[test]
    fn issuer_is_required_if_the_metadata_promises_it() {
        let iss = "iss=https%3A%2F%2Flogin.example.com";
        let wrong = "iss=https%3A%2F%2Fevil.example";
        for (is_in_responses, parameters, expected) in [
            (Some(true), "code=a", Some(AuthorizationError::IssuerMissing)),
            (Some(true), "error=access_denied", Some(AuthorizationError::IssuerMissing)),
            (Some(true), &format!("code=a&{iss}"), None),
            (Some(true), &format!("code=a&{wrong}"), Some(AuthorizationError::IssuerMismatch)),
            (Some(true), "code=a&iss=", Some(AuthorizationError::IssuerMismatch)),
            (Some(false), "code=a", None),
            (Some(false), &format!("error=access_denied&{wrong}"), Some(AuthorizationError::IssuerMismatch)),
            (None, &format!("code=a&{wrong}"), None),
        ] {
            let request = request(is_in_responses);
            let outcome = request.code(&format!("{parameters}&state={}", request.state.expose()));
            assert_eq!(outcome.err(), expected, "{is_in_responses:?} {parameters}");
        }
    }
}
