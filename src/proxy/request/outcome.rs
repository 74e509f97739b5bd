//! The ways in which a request ends for the caller's connection.

use crate::proxy::error::ProxyError;
use crate::proxy::wire::relay::RelayError;

/// The problem detail of a request whose body did not arrive.
pub(crate) const LATE_BODY: &str = "The request's body did not arrive in time.";

/// What happens to the caller's connection after a request.
pub(crate) enum Disposition {
    /// The connection stays open, and the next request is read.
    KeepAlive,
    /// The connection is closed after a delay: the caller may still be sending, and a reset could discard the
    /// response.
    LingeringClose,
    /// The connection is closed at once.
    Close,
    /// The connection is closed at once, in a way that marks the response as incomplete.
    Abort(RelayError),
}

/// Why a request has no complete response of the upstream.
pub(crate) enum ExchangeError {
    /// Nothing was sent to the caller yet, so that Sidekey responds with the error.
    Respond(ProxyError),
    /// The caller is gone or has a part of the response, so that its connection is aborted.
    Abort(RelayError),
}

impl From<ProxyError> for ExchangeError {
    fn from(error: ProxyError) -> Self {
        Self::Respond(error)
    }
}
