//! A token of its own for each caller, in `Authorization` (RFC 6750 §2.1), requested with the token that the caller presents.

use std::sync::Arc;

use super::owned::AUTHORIZATION;
use super::{
    CredentialVersion, Injection, NotReady, OutboundRequest, Owned, Signer, UpstreamResponse, Verdict,
};
use crate::oauth2::caller_tokens::CallerTokens;
use crate::secret::Echoes;

/// A signer that sends the token of the caller whose request it is, and no other.
pub struct ForCaller {
    tokens: Arc<CallerTokens>,
    owned: Arc<Owned>,
}

impl ForCaller {
    /// Sends these tokens.
    pub fn new(tokens: Arc<CallerTokens>) -> Self {
        Self { tokens, owned: Arc::new(Owned::authorization()) }
    }
}

impl Signer for ForCaller {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn is_refreshable(&self) -> bool {
        true
    }

    /// A request without a subject is not signed.
    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        let subject = request.subject.ok_or(NotReady)?;
        let token = self.tokens.current(subject).ok_or(NotReady)?;
        injection.field(AUTHORIZATION, token.header.clone());
        Ok(CredentialVersion(token.generation))
    }

    fn observe(&self, _: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        if response.status == 401 && !response.is_retry { Verdict::Refresh } else { Verdict::Pass }
    }

    /// The token that was sent is masked by the subject of the request.
    fn mask(&self, _: &mut [u8]) -> u64 {
        0
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        Vec::new()
    }

    fn caller_tokens(&self) -> Option<&Arc<CallerTokens>> {
        Some(&self.tokens)
    }
}
