//! A token: as a token endpoint issues it, and as the request path uses it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use super::dpop_key;
use super::dpop_key::DpopKey;
use crate::config::auth::placement::Placement;
use crate::refresh::{Expiring, Expiry, SourceError, SourceErrorKind, Store};
use crate::secret::{Echoes, Secret, SigningError};

/// Where requests read the current access token of a credential.
pub type TokenStore = Store<AccessToken>;

/// A token response (RFC 6749 §5.1).
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token, or why that of the response cannot be used. It is an error only beside a refresh
    /// token: the one that was sent may be spent, so that the new one must be kept.
    pub access: Result<IssuedToken, SourceError>,
    /// The refresh token to use next: that of the response, or the one that was sent if the response has none
    /// (RFC 6749 §6).
    pub refresh_token: Option<Secret>,
}

/// An access token as it was issued.
#[derive(Debug)]
pub struct IssuedToken {
    /// The access token.
    pub value: Secret,
    /// The expiry of the access token. Its lifetime counts from when the request was sent, so that it is
    /// never too long, however slow the answer.
    pub expiry: Expiry,
    /// The granted scope, if the response has one.
    pub scope: Option<String>,
}

impl TokenResponse {
    /// Why a token request has led to no access token, if it has not.
    pub fn failure(outcome: &Result<Self, SourceError>) -> Option<&SourceError> {
        match outcome {
            Ok(response) => response.access.as_ref().err(),
            Err(error) => Some(error),
        }
    }
}

/// An access token as the request path uses it.
pub struct AccessToken {
    /// The value at its place, such as `Bearer …`, marked sensitive. Built once; a request clones it.
    pub placed: HeaderValue,
    /// The token itself.
    value: Secret,
    /// The authentication scheme (RFC 9110 §11.1), if it is sent with one.
    scheme: Option<Box<str>>,
    /// The token, to be masked where a response repeats it.
    pub echoes: Arc<Echoes>,
    /// When the token must no longer be sent.
    pub expiry: Expiry,
    /// The granted scope, if the response had one; fit for a page.
    pub scope: Option<String>,
    /// The key that the token is bound to, if it is bound to one (RFC 9449).
    pub binding: Option<KeyBinding>,
    /// What ends with the token.
    _lease: Option<Box<dyn Any + Send + Sync>>,
}

/// The binding of a token to a key: the token is of use only with a proof of that key for each request.
pub struct KeyBinding {
    key: Arc<DpopKey>,
    /// The hash of the token, which each proof contains (RFC 9449 §4.2).
    ath: String,
}

impl AccessToken {
    /// An access token that was issued, for this place in requests. A token that is bound to `key` has the scheme `DPoP` in
    /// `Authorization` (RFC 9449 §7.1).
    ///
    /// # Errors
    ///
    /// If it has characters that cannot stand there.
    pub fn new(
        issued: &IssuedToken,
        key: Option<&Arc<DpopKey>>,
        placement: &Placement,
    ) -> Result<Self, SourceError> {
        let token = issued.value.expose();
        let dpop = Placement { prefix: "DPoP ".into(), ..Placement::bearer() };
        let placement = if key.is_some() { &dpop } else { placement };
        let binding = key.map(|key| KeyBinding { key: key.clone(), ath: dpop_key::access_token_hash(token) });
        let placed = placement.value(token).ok_or_else(|| {
            let message = "the access token has characters that cannot be sent where it goes";
            SourceError::new(SourceErrorKind::Malformed, message)
        })?;
        Ok(Self {
            placed,
            value: issued.value.clone(),
            scheme: placement.scheme().map(Into::into),
            echoes: Arc::new(Echoes::of([token])),
            expiry: issued.expiry,
            scope: issued.scope.clone(),
            binding,
            _lease: None,
        })
    }

    /// Keeps something that is dropped with the token.
    #[must_use]
    pub fn with_lease(self, lease: Box<dyn Any + Send + Sync>) -> Self {
        Self { _lease: Some(lease), ..self }
    }

    /// The authentication scheme, such as `Bearer`; `token` if it is sent with none.
    pub fn scheme(&self) -> &str {
        self.scheme.as_deref().unwrap_or("token")
    }

    /// The token, for reading its claims.
    pub(super) fn value(&self) -> &Secret {
        &self.value
    }
}

impl KeyBinding {
    /// The key.
    pub fn key(&self) -> &Arc<DpopKey> {
        &self.key
    }

    /// The value of the `DPoP` header for one request with the token. `path` has no query (RFC 9449 §4.2).
    pub fn proof(&self, method: &str, origin: &str, path: &str) -> Result<HeaderValue, SigningError> {
        self.key.proof_for_resource(method, origin, path, &self.ath)
    }
}

impl Expiring for AccessToken {
    const NAME: &'static str = "token";

    fn expiry(&self) -> Expiry {
        self.expiry
    }

    fn scope_count(&self) -> Option<usize> {
        self.scope.as_ref().map(|scope| scope.split_whitespace().count())
    }
}

/// The value of the token is not printed.
impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expiry", &self.expiry).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refresh::ClockReading;
    use std::time::Duration;

    fn issued() -> IssuedToken {
        IssuedToken {
            value: Secret::new("CANARY".into()).unwrap(),
            expiry: Expiry::after(ClockReading::now(), Duration::from_secs(10)),
            scope: Some("read write".into()),
        }
    }

    #[test]
    fn access_token_is_sensitive_and_does_not_print_itself() {
        let token = AccessToken::new(&issued(), None, &Placement::bearer()).unwrap();
        assert!(token.placed.is_sensitive());
        assert!(!format!("{token:?} {:?} {:?}", token.placed, issued()).contains("CANARY"));
    }

    #[test]
    fn access_token_of_a_key_has_the_dpop_scheme_and_proofs() {
        let key = Arc::new(DpopKey::new(None).unwrap());
        let token = AccessToken::new(&issued(), Some(&key), &Placement::bearer()).unwrap();
        assert_eq!((token.scheme(), token.scope_count()), ("DPoP", Some(2)));
        let binding = token.binding.unwrap();
        assert!(binding.proof("GET", "https://api.example", "/").unwrap().is_sensitive());
        let bearer = AccessToken::new(&issued(), None, &Placement::bearer()).unwrap();
        assert_eq!((bearer.scheme(), bearer.binding.is_none()), ("Bearer", true));
    }
}
