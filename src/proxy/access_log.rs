//! The access log: one line for each request, if it is on. A line has neither query, header nor body, because
//! each of them may hold a secret.

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::error::ProxyError;
use super::request_id::RequestId;
use crate::metrics::MethodLabel;

/// A finished request, as the access log records it.
pub(super) struct Entry<'a> {
    pub(super) service: &'a str,
    pub(super) method: MethodLabel,
    /// The path as the caller sent it, without the query. `None` if the access log is off. What is not ASCII is encoded: a terminal
    /// that shows the log may act on such characters.
    pub(super) path: Option<&'a str>,
    pub(super) status: Option<u16>,
    pub(super) took: Duration,
    pub(super) request_id: Option<&'a RequestId>,
    pub(super) failure: Option<&'a ProxyError>,
    /// The name of the caller; `None` if the configuration has no callers.
    pub(super) caller: Option<&'a str>,
}

/// Writes the line, if the access log is on.
pub(super) fn write(entry: &Entry<'_>) {
    let Some(path) = entry.path else { return };
    let path = Cow::from(utf8_percent_encode(path, CONTROLS));
    tracing::info!(
        target: "sidekey::access",
        {
            sidekey.service = entry.service,
            http.request.method = entry.method.as_str(),
            url.path = &*path,
            http.response.status_code = entry.status,
            request.duration_s = entry.took.as_secs_f64(),
            sidekey.error = entry.failure.map(|failure| failure.reason.as_str()),
            request.id = entry.request_id.map(RequestId::as_str),
            sidekey.caller = entry.caller,
            sidekey.rule = entry.failure.and_then(ProxyError::rule),
        },
        "request"
    );
}
