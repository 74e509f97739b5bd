//! Credentials that are a signature over the request: its parts make a text, the text is signed, and the signature is placed.
//!
//! A scheme says what the parts are, how the text is made of them, and where the signature goes. Everything else is the same for
//! all of them: a body that is signed is read first, a request that cannot be signed is refused in words, a signature with a time
//! is made for one attempt.

use std::sync::Arc;
use std::time::SystemTime;

use super::{
    BodyNeed, CredentialVersion, Injection, NotReady, OutboundBody, OutboundRequest, Owned, PendingBody,
    Signer,
};
use crate::secret::Echoes;

/// The limit on a body that is read to be signed, in bytes.
pub(super) const MAX_SIGNED_BODY: usize = 64 * 1024;

/// One way to sign requests, with one key.
pub(super) trait SignatureScheme: Send + Sync {
    /// The parts of a request that belong to the signature.
    fn owned(&self) -> &Arc<Owned>;

    /// Whether the body is signed.
    fn signs_body(&self) -> bool;

    /// Whether a signature is valid for one attempt only, because it contains a time or a random number.
    fn is_single_use(&self) -> bool;

    /// Signs a request at this time. A body that is signed is held.
    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        now: SystemTime,
        injection: &mut Injection<'s>,
    ) -> Result<(), Unsignable>;
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsignable {
    /// The key cannot be used now.
    Failed,
    /// The request has no signature in this scheme, for the reason that the caller gets. It has nothing of the request.
    Refused(&'static str),
}

/// A signer of a scheme.
pub(super) struct Signing<S>(pub(super) S);

impl<S: SignatureScheme> Signer for Signing<S> {
    fn owned(&self) -> &Arc<Owned> {
        self.0.owned()
    }

    fn body(&self, _: &PendingBody<'_>) -> BodyNeed {
        if self.0.signs_body() { BodyNeed::Complete { max: MAX_SIGNED_BODY } } else { BodyNeed::None }
    }

    fn is_single_use(&self) -> bool {
        self.0.is_single_use()
    }

    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        // A body that was not read must not be signed as an empty one.
        if self.0.signs_body() && matches!(request.body, OutboundBody::Streaming) {
            return Err(NotReady);
        }
        self.0.sign(request, SystemTime::now(), injection).map_err(|_| NotReady)?;
        Ok(CredentialVersion::STATIC)
    }

    fn refusal(&self, request: &OutboundRequest<'_>) -> Option<&'static str> {
        match self.0.sign(request, SystemTime::now(), &mut Injection::default()) {
            Err(Unsignable::Refused(why)) => Some(why),
            Ok(()) | Err(Unsignable::Failed) => None,
        }
    }

    /// The key is not sent, and a signature is good for its own request alone.
    fn mask(&self, _: &mut [u8]) -> u64 {
        0
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        Vec::new()
    }
}
