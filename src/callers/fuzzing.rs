//! Access for [`fuzzing`](crate::fuzzing) to what is otherwise private.

use httparse::Header;

use super::connection::CertificateNames;
use super::credential;
use super::keys::hash;
use super::refusal::Refusal;
use super::token::{IssuerKeys, Tokens};
use crate::config::JwtIdentity;

/// The credential of a request with these fields.
pub(crate) fn credential<'a>(
    fields: &'a [Header<'a>],
    of_connect: Option<&'a [u8]>,
) -> Result<Option<Vec<u8>>, Refusal> {
    Ok(credential::of(fields, of_connect)?.map(|presented| presented.bytes().to_vec()))
}

/// Callers that are known by a token of one issuer.
pub(crate) struct TokenCallers(Tokens);

impl TokenCallers {
    /// Callers with these identities, and the keys of their issuer.
    pub(crate) fn new(identities: &[JwtIdentity], jwks: &[u8]) -> Self {
        let keys = std::sync::Arc::new(IssuerKeys::fixed(jwks));
        Self(Tokens::new(identities.iter().enumerate(), |_| keys.clone()))
    }

    /// The position of the caller that a token is of.
    pub(crate) fn find(&self, token: &[u8]) -> Result<usize, Refusal> {
        if !self.0.may_have(token) {
            return Err(Refusal::UnknownKey);
        }
        self.0.find(&hash(token), token, |_| true)
    }
}

/// The URIs and the DNS names in a certificate.
pub(crate) fn names_in(certificate: &[u8]) -> Option<(Vec<String>, Vec<String>)> {
    let CertificateNames { uris, dns } = CertificateNames::of(certificate)?;
    Some((uris, dns))
}
