//! `authorization_code` (RFC 6749 §4.1) with PKCE (RFC 7636, S256) and `state`: what `sidekey login` sends a person's browser
//! to, what it believes of that which comes back, and what it asks the token endpoint for with it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use url::Url;
use zeroize::Zeroizing;

use crate::config::{AuthorizationCode, OAuth2};
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::sanitize::sanitize;
use crate::oauth2::token::TokenResponse;
use crate::refresh::SourceError;
use crate::secret::Secret;

/// One login: good for one answer.
pub struct AuthorizationRequest {
    url: Url,
    redirect_uri: String,
    state: Secret,
    verifier: Secret,
    issuer: Option<String>,
}

/// Why an answer from the authorization endpoint gives no code. Nothing in it can hold one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// It does not belong to this login: somebody else's, an older one's, or an attack.
    #[error("this answer does not belong to this login: its `state` is another")]
    NotOurs,
    /// The person or the provider said no.
    #[error("the provider answered with error {0}")]
    Denied(String),
    /// It comes from another provider (RFC 9207).
    #[error("the answer comes from another provider: its `iss` is not `issuer` of the configuration")]
    OtherIssuer,
    /// A parameter is missing, or stands twice.
    #[error("the answer has not one `{0}`")]
    Malformed(&'static str),
}

impl AuthorizationRequest {
    /// A new login of this client at the authorization endpoint `url`. `issuer` is the provider's name for itself, where it
    /// is known.
    pub fn new(
        config: &OAuth2,
        grant: &AuthorizationCode,
        mut url: Url,
        redirect_uri: &str,
        issuer: Option<&str>,
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
        let (redirect_uri, issuer) = (redirect_uri.to_owned(), issuer.map(str::to_owned));
        Self { url, redirect_uri, state, verifier, issuer }
    }

    /// Where the person has to go. Without a secret: `state` and the challenge are of use to nobody else.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The code in the query that the browser came back with.
    pub fn code(&self, query: &str) -> Result<Secret, AuthorizationError> {
        let only = |name: &'static str| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (first, None) => Ok(first.map(|(_, value)| Zeroizing::new(value.into_owned()))),
                _ => Err(AuthorizationError::Malformed(name)),
            }
        };
        let state = only("state")?.ok_or(AuthorizationError::NotOurs)?;
        // In constant time, so that nobody guesses it letter by letter.
        if !bool::from(state.as_bytes().ct_eq(self.state.expose().as_bytes())) {
            return Err(AuthorizationError::NotOurs);
        }
        if let (Some(expected), Some(iss)) = (&self.issuer, only("iss")?)
            && *expected != *iss
        {
            return Err(AuthorizationError::OtherIssuer);
        }
        if let Some(error) = only("error")? {
            let description = only("error_description")?;
            let described = description.map(|text| format!(": {}", sanitize(&text))).unwrap_or_default();
            return Err(AuthorizationError::Denied(sanitize(&error) + &described));
        }
        let code = only("code")?.ok_or(AuthorizationError::Malformed("code"))?;
        Secret::new(code.to_string()).map_err(|_| AuthorizationError::Malformed("code"))
    }

    /// Exchanges the code for tokens (RFC 6749 §4.1.3).
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

    fn request(issuer: Option<&str>) -> AuthorizationRequest {
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
        let config = crate::config::Config::parse(config, "test", crate::credential::AUTH_KINDS).unwrap();
        let oauth2 = config.services[0].auth.settings::<crate::config::OAuth2>().unwrap();
        let crate::config::Grant::AuthorizationCode(grant) = &oauth2.grant else { panic!() };
        let url = grant.authorization_url.clone().unwrap();
        AuthorizationRequest::new(oauth2, grant, url, "http://127.0.0.1:7/callback", issuer)
    }

    #[test]
    fn the_url_asks_for_a_code_with_a_challenge_that_fits_the_verifier() {
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
    fn the_challenge_is_that_of_the_rfc() {
        let hash = digest::digest(&digest::SHA256, b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(URL_SAFE_NO_PAD.encode(hash), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn believes_only_the_answer_to_its_own_question() {
        let request = request(Some("https://login.example.com"));
        let state = request.state.expose();
        let code = |query: &str| request.code(&query.replace("STATE", state));
        assert_eq!(code("code=a%2Bb&state=STATE").unwrap().expose(), "a+b");
        let iss = "iss=https%3A%2F%2Flogin.example.com";
        assert!(code(&format!("code=a&state=STATE&{iss}")).is_ok());
        for (query, expected) in [
            ("", AuthorizationError::NotOurs),
            ("code=a", AuthorizationError::NotOurs),
            ("code=a&state=", AuthorizationError::NotOurs),
            ("code=a&state=STATEx", AuthorizationError::NotOurs),
            ("error=access_denied", AuthorizationError::NotOurs),
            ("code=a&state=STATE&state=STATE", AuthorizationError::Malformed("state")),
            ("code=a&code=b&state=STATE", AuthorizationError::Malformed("code")),
            ("code=&state=STATE", AuthorizationError::Malformed("code")),
            ("code=a%0Ab&state=STATE", AuthorizationError::Malformed("code")),
            ("state=STATE", AuthorizationError::Malformed("code")),
            ("code=a&state=STATE&iss=https%3A%2F%2Fevil.example", AuthorizationError::OtherIssuer),
            ("code=a&state=STATE&iss=https%3A%2F%2Flogin.example.com%2F", AuthorizationError::OtherIssuer),
            ("error=access_denied&state=STATE", AuthorizationError::Denied("access_denied".into())),
            (
                "error=a%1B%5B2J&error_description=b%0Ac&state=STATE",
                AuthorizationError::Denied("a?[2J: b?c".into()),
            ),
        ] {
            assert_eq!(code(query).unwrap_err(), expected, "{query}");
        }
    }
}
