//! The seam between the request path and credentials: the data plane uses a credential only as a [`Signer`].

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use httparse::Header;

use super::{CredentialVersion, Injection, OutboundRequest, Owned};
use crate::oauth2::TokenStore;
use crate::oauth2::caller_tokens::{CallerTokens, Subject};
use crate::refresh::AnyStore;
use crate::secret::Echoes;

/// A credential that is ready to use. Errors of the configuration were found when it was built.
pub trait Signer: Send + Sync {
    /// The parts of a request that belong to this credential. What a caller sends in them is removed, in
    /// heads and in trailers.
    fn owned(&self) -> &Arc<Owned>;

    /// What the signer needs of a body that was not read, before the head is written.
    fn body(&self, body: &PendingBody<'_>) -> BodyNeed {
        let _ = body;
        BodyNeed::None
    }

    /// The request in the form in which it is signed: another head, as a caller would have sent it, and its body.
    /// Called after [`BodyNeed::Rewrite`]. An error is the reason that the caller gets.
    fn rewrite(&self, head: &[u8], body: &[u8]) -> Result<RewrittenRequest, &'static str> {
        let _ = (head, body);
        Err("The request cannot be signed.")
    }

    /// Whether a signature is valid for one attempt only, because it contains a time or an identifier. Each
    /// further attempt is then signed again.
    fn is_single_use(&self) -> bool {
        false
    }

    /// Whether another credential may be accepted if the upstream rejects the one that was sent.
    fn is_refreshable(&self) -> bool {
        false
    }

    /// Whether a response with this status, of which 401 is none, may be a rejection of the credential. Its head
    /// is then passed to [`Signer::observe`] while the request can be sent again.
    fn may_reject_with(&self, status: u16) -> bool {
        let _ = status;
        false
    }

    /// Signs `request`, which is exactly what is sent. Never waits and never does I/O.
    ///
    /// # Errors
    ///
    /// [`NotReady`] if there is no usable credential. Nothing may be forwarded then.
    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady>;

    /// Why this request, which was not signed, never will be: the reason that the caller gets. It has nothing of the request.
    fn refusal(&self, request: &OutboundRequest<'_>) -> Option<&'static str> {
        let _ = request;
        None
    }

    /// Evaluates the head of the response to a request that was signed with the version `used`: acceptance,
    /// rotation, nonces. Called once for each final response.
    fn observe(&self, used: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        let _ = (used, response);
        Verdict::Pass
    }

    /// Masks what does not change of the credential in a part of a response that repeats it; the length stays. Returns in how many
    /// places it was. What changes, such as a token, is recorded with each request that sends it ([`Injection::sends`]).
    fn mask(&self, text: &mut [u8]) -> u64 {
        let _ = text;
        0
    }

    /// The secrets that [`mask`](Self::mask) looks for, to look for them in the parts of a text that comes later.
    fn echoes(&self) -> Vec<Arc<Echoes>> {
        Vec::new()
    }

    /// Requests a credential newer than `used` and waits for it, at most for `limit`. Called after
    /// [`Verdict::Refresh`]. `subject` is that of the request, as in [`OutboundRequest`]. Returns whether there is one.
    fn refreshed<'a>(
        &'a self,
        used: CredentialVersion,
        subject: Option<&'a Subject>,
        limit: Duration,
    ) -> BoxFuture<'a, bool> {
        let _ = (used, subject, limit);
        Box::pin(ready(false))
    }

    /// Waits until a credential can be sent, `limit` at most, and only while one may be obtained by then.
    fn wait_until_ready(&self, limit: Duration) -> BoxFuture<'_, ()> {
        let _ = limit;
        Box::pin(ready(()))
    }

    /// The state of the credential, for readiness, metrics, the status page and `Retry-After`.
    fn status(&self) -> CredentialStatus {
        CredentialStatus::READY
    }

    /// The tokens of callers, if each caller has one of its own. A request needs a subject then.
    fn caller_tokens(&self) -> Option<&Arc<CallerTokens>> {
        None
    }

    /// The store of the value that this credential is made of, if it expires.
    fn store(&self) -> Option<&dyn AnyStore> {
        None
    }

    /// The store of each credential of a list whose value expires, with its place; of a single credential, its own.
    fn stores(&self) -> Vec<(usize, &dyn AnyStore)> {
        self.store().map(|store| (0, store)).into_iter().collect()
    }

    /// The same store if the value is a token.
    fn token_store(&self) -> Option<&Arc<TokenStore>> {
        None
    }
}

/// The error of a request that cannot be signed, because there is no usable credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no usable credential")]
pub struct NotReady;

/// What a signer needs of the body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyNeed {
    /// Nothing: the body is passed on as it arrives.
    None,
    /// The whole body before the head is written. A body larger than `max` is rejected with 413.
    Complete {
        /// The limit in bytes.
        max: usize,
    },
    /// The whole body, `max` bytes at most; then [`Signer::rewrite`] gives the request the form in which it is signed.
    Rewrite {
        /// The limit in bytes.
        max: usize,
    },
    /// What the upstream's answer to a request without a body gives: the body is passed on as it arrives, and cannot be sent again.
    Challenge,
    /// The request cannot be signed, for the reason that the caller gets. It has nothing of the request.
    Refused(&'static str),
}

/// A request that takes the place of the caller's.
pub struct RewrittenRequest {
    /// The head, which ends with an empty line. Its `Content-Length` is that of the body.
    pub head: Vec<u8>,
    /// The body, without transfer coding.
    pub body: Vec<u8>,
}

/// A body that was not read yet.
pub struct PendingBody<'a> {
    /// Scheme and authority of the upstream.
    pub origin: &'a str,
    /// All header fields of the request, as the caller sent them.
    pub fields: &'a [Header<'a>],
    /// The length in bytes, if it is known.
    pub length: Option<u64>,
}

/// The part of an upstream's response that a signer evaluates.
pub struct UpstreamResponse<'a> {
    /// Scheme and authority of the URL that the response came from.
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

/// What the data plane does with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The response is passed on.
    Pass,
    /// The request is signed again and sent again at once.
    Retry,
    /// The same, and the credential was not rejected: the response gave what it must be signed with, such as a nonce. At most
    /// once for a request. A rejection may follow, with its own retry.
    Again,
    /// Another credential is requested, and the request is sent again if there is one.
    Refresh,
}

/// The state of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialStatus {
    /// Whether a request can be signed now.
    pub is_ready: bool,
    /// The number of seconds after which a caller should retry, at least 1.
    pub retry_after: u64,
    /// Whether requests are signed with the previous one of two secrets. `None` if there is only one.
    pub is_previous_in_use: Option<bool>,
}

impl CredentialStatus {
    /// The state of a credential that can always be sent.
    pub const READY: Self = Self { is_ready: true, retry_after: 1, is_previous_in_use: None };
}
