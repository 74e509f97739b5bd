//! The seam between the request path and credentials: all that the data plane knows of a credential is a [`Signer`].

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use httparse::Header;

use super::{CredentialVersion, Injection, OutboundRequest, Owned};
use crate::oauth2::TokenStore;

/// A credential that is ready to use. Whatever can fail because of the configuration has failed when it was built.
pub trait Signer: Send + Sync {
    /// The parts of a request that belong to this credential alone. What a caller sends there is removed, in heads and in
    /// trailers.
    fn owned(&self) -> &Arc<Owned>;

    /// What must be known of the body before the head is written.
    fn body(&self) -> BodyNeed {
        BodyNeed::None
    }

    /// Whether a signature is good for one attempt only, because it holds a time or an identifier: each further attempt
    /// then signs again.
    fn is_single_use(&self) -> bool {
        false
    }

    /// Whether another credential may be accepted if the upstream rejects the one that was sent.
    fn is_refreshable(&self) -> bool {
        false
    }

    /// Signs exactly what `request` is. Never waits and never does I/O.
    ///
    /// # Errors
    ///
    /// [`NotReady`] if there is no usable credential. Nothing may be forwarded then.
    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady>;

    /// Learns from the head of the response to a request that was signed with the version `used`: acceptance, rotation,
    /// nonces. Called once for each response that is not retried by other means.
    fn observe(&self, used: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        let _ = (used, response);
        Verdict::Pass
    }

    /// After [`Verdict::Refresh`]: asks for a credential newer than `used` and waits for it, `limit` at most. Returns whether
    /// there is one.
    fn refreshed(&self, used: CredentialVersion, limit: Duration) -> BoxFuture<'_, bool> {
        let _ = (used, limit);
        Box::pin(ready(false))
    }

    /// Waits for the very first credential, `limit` at most. Returns at once if there ever was one.
    fn wait_for_first(&self, limit: Duration) -> BoxFuture<'_, ()> {
        let _ = limit;
        Box::pin(ready(()))
    }

    /// The state of the credential, for readiness, metrics, the status page and `Retry-After`.
    fn status(&self) -> CredentialStatus {
        CredentialStatus::READY
    }

    /// The store of the token that this credential sends, if it sends one.
    fn token_store(&self) -> Option<&Arc<TokenStore>> {
        None
    }
}

/// There is no usable credential at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no usable credential")]
pub struct NotReady;

/// What a signer must know of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyNeed {
    /// Nothing: the body is passed on as it comes.
    None,
    /// All of it, up to `max` bytes, before the head is written. A larger body is rejected with 413.
    Complete {
        /// The limit in bytes.
        max: usize,
    },
}

/// The head of an upstream's response, as far as a signer may look at it.
pub struct UpstreamResponse<'a> {
    /// Scheme and authority of the URL that answered.
    pub origin: &'a str,
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub fields: &'a [Header<'a>],
    /// Whether the request had been sent before, with another credential.
    pub is_retry: bool,
    /// Whether the request can be sent again.
    pub can_retry: bool,
}

/// What is to be done with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is passed on.
    Pass,
    /// The request is sent again at once: signed again, it may be accepted.
    Retry,
    /// Another credential is asked for, and the request is sent again if there is one.
    Refresh,
}

/// The state of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialStatus {
    /// Whether a request can be signed now.
    pub is_ready: bool,
    /// In how many seconds a caller should try again, at least 1.
    pub retry_after: u64,
    /// Whether requests have the previous one of two secrets. `None` if there is only one.
    pub is_previous_in_use: Option<bool>,
}

impl CredentialStatus {
    /// The state of a credential that can always be sent.
    pub const READY: Self = Self { is_ready: true, retry_after: 1, is_previous_in_use: None };
}
