//! The current token of a store, at its place in the request. A refresher fills the store.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use futures_util::future::BoxFuture;

use super::stored;
use super::{
    CredentialStatus, CredentialVersion, Injection, NotReady, OutboundRequest, Owned, Place, Signer,
    UpstreamResponse, Verdict,
};
use crate::config::auth::placement::Placement;
use crate::oauth2::caller_tokens::Subject;
use crate::oauth2::{AccessToken, TokenStore};
use crate::refresh::{AnyStore, Versioned};

/// A signer that sends the current token, unless it has expired.
pub struct Token {
    store: Arc<TokenStore>,
    place: Place,
}

impl Token {
    /// Sends the tokens of `store`, which are made for this place.
    pub fn new(store: Arc<TokenStore>, placement: &Placement) -> Self {
        Self { store, place: Place::new(placement) }
    }

    /// The token, if it may still be sent.
    pub(super) fn current(&self) -> Option<CurrentToken> {
        self.store.current().map(CurrentToken)
    }
}

/// A token that may be sent. The guard keeps it alive until it is dropped.
pub(super) struct CurrentToken(Guard<Option<Arc<Versioned<AccessToken>>>>);

impl std::ops::Deref for CurrentToken {
    type Target = Versioned<AccessToken>;

    fn deref(&self) -> &Versioned<AccessToken> {
        self.0.as_ref().expect("the store returns a guard only with a token in it")
    }
}

impl Signer for Token {
    fn owned(&self) -> &Arc<Owned> {
        self.place.owned()
    }

    fn is_refreshable(&self) -> bool {
        true
    }

    fn sign<'s>(
        &'s self,
        _: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        let current = self.current().ok_or(NotReady)?;
        injection.sends(&current.echoes);
        self.place.write(current.placed.clone(), injection);
        Ok(CredentialVersion::new(current.generation))
    }

    fn observe(&self, _: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        stored::observe(response)
    }

    fn refreshed<'a>(
        &'a self,
        used: CredentialVersion,
        _: Option<&'a Subject>,
        limit: Duration,
    ) -> BoxFuture<'a, bool> {
        stored::refreshed(&self.store, used, limit)
    }

    fn wait_until_ready(&self, limit: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.store.wait_until_usable(limit))
    }

    fn status(&self) -> CredentialStatus {
        stored::status(&self.store)
    }

    fn store(&self) -> Option<&dyn AnyStore> {
        Some(&*self.store)
    }

    fn token_store(&self) -> Option<&Arc<TokenStore>> {
        Some(&self.store)
    }
}
