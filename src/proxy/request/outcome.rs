//! How a request ends for the caller's connection.

use crate::proxy::error::ProxyError;
use crate::proxy::wire::relay::RelayError;

/// The problem detail of a request whose body did not arrive.
pub(crate) const LATE_BODY: &str = "The request's body did not arrive in time.";

/// What is done with the caller's connection.
pub(crate) enum Disposition {
    /// The next request is read.
    KeepAlive,
    /// It is closed after a moment: the caller may still be sending, and a reset would take the response from it.
    LingeringClose,
    /// It is closed at once.
    Close,
    /// It is closed at once, and so that a part of a response is not taken for the whole.
    Abort(RelayError),
}

/// Why a request has no complete response of the upstream.
pub(crate) enum ExchangeError {
    /// Nothing was sent to the caller yet: it gets a response of Sidekey's own.
    Respond(ProxyError),
    /// The caller is gone, or has a part of the response: its connection is aborted.
    Abort(RelayError),
}

impl From<ProxyError> for ExchangeError {
    fn from(error: ProxyError) -> Self {
        Self::Respond(error)
    }
}
