//! DPoP (RFC 9449) as a decorator: a token that is bound to a key, and a proof of that key for each request.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::owned::AUTHORIZATION;
use super::token::Token;
use super::{
    CredentialStatus, CredentialVersion, Injection, NotReady, OutboundRequest, Owned, Signer,
    UpstreamResponse, Verdict,
};
use crate::oauth2::TokenStore;
use crate::oauth2::caller_tokens::Subject;
use crate::oauth2::dpop_key::{NONCE_HEADER, PROOF_HEADER};
use crate::proto::challenge;
use crate::refresh::AnyStore;

/// Sends a token with a proof for this very request (RFC 9449 §7).
pub struct Dpop {
    token: Token,
    owned: Arc<Owned>,
}

impl Dpop {
    /// Adds proofs to a token that is bound to a key.
    pub fn new(token: Token) -> Self {
        let owned = Self::owned_with(Owned::clone(token.owned()));
        Self { token, owned: Arc::new(owned) }
    }

    /// What belongs to a token of which `owned` is the place, and its proofs.
    pub fn owned_with(owned: Owned) -> Owned {
        owned.with_header(PROOF_HEADER)
    }

    /// Records the nonce that an upstream supplies for the next proof (RFC 9449 §9). Returns whether it is a
    /// new one.
    fn record_nonce(&self, origin: &str, nonce: &[u8]) -> bool {
        let current = self.token.current();
        let binding = current.as_ref().and_then(|token| token.binding.as_ref());
        binding.is_some_and(|binding| binding.key().record_nonce(origin, nonce))
    }
}

impl Signer for Dpop {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn is_single_use(&self) -> bool {
        true
    }

    fn is_refreshable(&self) -> bool {
        self.token.is_refreshable()
    }

    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        let current = self.token.current().ok_or(NotReady)?;
        let binding = current.binding.as_ref().ok_or(NotReady)?;
        // A token without a proof would be rejected, so the request is not sent.
        let proof =
            binding.proof(request.method, request.origin, &request.full_path()).map_err(|_| NotReady)?;
        injection.sends(&current.echoes);
        injection.field(AUTHORIZATION, current.placed.clone());
        injection.field("DPoP", proof);
        Ok(CredentialVersion::new(current.generation))
    }

    fn observe(&self, used: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        let nonce =
            response.fields.iter().find(|field| field.name.eq_ignore_ascii_case(NONCE_HEADER.as_str()));
        let is_new = nonce.is_some_and(|nonce| self.record_nonce(response.origin, nonce.value));
        // The token is valid; its proof lacked the nonce that this response supplies (RFC 9449 §9).
        if response.status == 401 && is_new && challenge::has_error(response.fields, "use_dpop_nonce") {
            return if response.is_retry { Verdict::Pass } else { Verdict::Retry };
        }
        self.token.observe(used, response)
    }

    fn refreshed<'a>(
        &'a self,
        used: CredentialVersion,
        subject: Option<&'a Subject>,
        limit: Duration,
    ) -> BoxFuture<'a, bool> {
        self.token.refreshed(used, subject, limit)
    }

    fn wait_until_ready(&self, limit: Duration) -> BoxFuture<'_, ()> {
        self.token.wait_until_ready(limit)
    }

    fn status(&self) -> CredentialStatus {
        self.token.status()
    }

    fn store(&self) -> Option<&dyn AnyStore> {
        self.token.store()
    }

    fn token_store(&self) -> Option<&Arc<TokenStore>> {
        self.token.token_store()
    }
}
