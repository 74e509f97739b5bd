//! A request that is not forwarded: its response, and what the log says of it.

use crate::credential::Owned;
use crate::metrics::MethodLabel;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::request_id::RequestId;
use crate::proxy::wire::parse_head::RequestHead;

/// A request that is not forwarded.
pub(crate) struct Rejection<'p> {
    pub(crate) reply: Reply,
    /// The name of the service; empty if no service matches.
    pub(crate) service: &'p str,
    pub(crate) method: MethodLabel,
    /// What the log says of it; `None` if the head cannot be parsed.
    pub(crate) logged: Option<Box<LoggedRequest>>,
    pub(crate) is_head: bool,
    /// Whether the next request can follow: this one ends with its head.
    pub(crate) keep_alive: bool,
    /// The name of the caller; `None` if the configuration has no callers, or the head cannot be parsed.
    pub(crate) caller: Option<&'p str>,
}

/// What the log says of a request that is not forwarded.
pub(crate) struct LoggedRequest {
    /// The path without the query, if the access log is on. `None` if no service matches, because such a path may hold anything.
    pub(crate) path: Option<String>,
    /// The caller's identifier of the request, if it has one.
    pub(crate) id: Option<RequestId>,
}

impl LoggedRequest {
    pub(super) fn of(head: &RequestHead<'_, '_>, path: Option<String>) -> Self {
        Self { path, id: RequestId::of(head.fields, &Owned::default()) }
    }
}

/// The response to a request that is not forwarded.
pub(crate) enum Reply {
    Error(ProxyError),
    /// The response to an `OPTIONS` request that is for Sidekey itself (RFC 9110 §7.6.2).
    Options,
}

impl Rejection<'_> {
    /// Converts the rejection of a request that was accepted before.
    pub(crate) fn into_error(self) -> ProxyError {
        match self.reply {
            Reply::Error(error) => error,
            Reply::Options => ProxyError::new(ErrorReason::BadRequest, "Max-Forwards is 0"),
        }
    }
}

impl From<ProxyError> for Rejection<'_> {
    /// Rejects a head that cannot be parsed.
    fn from(error: ProxyError) -> Self {
        Self {
            reply: Reply::Error(error),
            service: "",
            method: MethodLabel::OTHER,
            logged: None,
            is_head: false,
            keep_alive: false,
            caller: None,
        }
    }
}
