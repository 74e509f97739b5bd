//! A token: as a token endpoint issues it, and as the request path uses it.

use std::fmt;

use http::HeaderValue;

use super::dpop_key;
use super::expiry::Expiry;
use crate::secret::{InvalidSecret, Secret};

/// What a token endpoint issued.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret,
    /// When it expires, counted from when the request was sent, so that a slow answer never makes it look younger.
    pub expiry: Expiry,
    /// Granted scope, where the answer names it (RFC 6749 §5.1).
    pub scope: Option<String>,
    /// The refresh token to hold from now on: the answer's, or the one held where the answer has none (RFC 6749 §6).
    pub refresh_token: Option<Secret>,
}

/// A token as the request path uses it.
pub struct Token {
    /// `Bearer …` or `DPoP …`, marked sensitive, built once; a request clones it.
    pub header: HeaderValue,
    /// When it must no longer be sent.
    pub expiry: Expiry,
    /// Granted scope, where the answer names it; fit for a page.
    pub scope: Option<String>,
    /// The hash of the token, where it is bound to a key (RFC 9449 §4.2).
    pub(crate) ath: Option<String>,
    /// Counts the tokens of this store, from 1: tells a late 401 for an old token from one for the current.
    pub generation: u64,
}

impl Token {
    /// `bound`: to a key, so that it is sent with a proof.
    pub(super) fn new(issued: &TokenResponse, generation: u64, bound: bool) -> Result<Self, InvalidSecret> {
        let token = issued.access_token.expose();
        let scheme = if bound { "DPoP" } else { "Bearer" };
        let mut header = HeaderValue::try_from(format!("{scheme} {token}"))
            .map_err(|_| InvalidSecret::Control { at: 0 })?;
        header.set_sensitive(true);
        let ath = bound.then(|| dpop_key::access_token_hash(token));
        Ok(Self { header, expiry: issued.expiry, scope: issued.scope.clone(), ath, generation })
    }

    /// `Bearer` or `DPoP`: what stands before the token itself.
    pub fn scheme(&self) -> &str {
        self.header.to_str().ok().and_then(|value| value.split(' ').next()).unwrap_or_default()
    }
}

/// The token's value is never printed.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}
