//! A token of its own for each caller, requested with the token that the caller presents.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::stored;
use super::{
    CredentialVersion, Injection, NotReady, OutboundRequest, Owned, Place, Signer, UpstreamResponse, Verdict,
};
use crate::config::auth::placement::Placement;
use crate::oauth2::caller_tokens::{CallerTokens, Subject};
use crate::secret::Echoes;

/// A signer that sends the token of the caller whose request it is, and no other.
pub struct ForCaller {
    tokens: Arc<CallerTokens>,
    place: Place,
    /// The place, and `Authorization`: the token of the caller is for the token endpoint alone.
    owned: Arc<Owned>,
}

impl ForCaller {
    /// Sends these tokens, which are made for this place.
    pub fn new(tokens: Arc<CallerTokens>, placement: &Placement) -> Self {
        let place = Place::new(placement);
        let owned = Arc::new(Owned::authorization().and(place.owned()));
        Self { tokens, place, owned }
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
        self.place.write(token.placed.clone(), injection);
        Ok(CredentialVersion::new(token.generation))
    }

    fn observe(&self, _: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        stored::observe(response)
    }

    /// The token that was sent is masked by the subject of the request.
    fn mask(&self, _: &mut [u8]) -> u64 {
        0
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        Vec::new()
    }

    fn refreshed<'a>(
        &'a self,
        used: CredentialVersion,
        subject: Option<&'a Subject>,
        limit: Duration,
    ) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            match subject {
                Some(subject) => self.tokens.renew(subject, used.number(), limit).await,
                None => false,
            }
        })
    }

    fn caller_tokens(&self) -> Option<&Arc<CallerTokens>> {
        Some(&self.tokens)
    }
}
