//! One line per request, where it is asked for. Never the query, a header or a body: any of them may hold a secret.

use std::time::Duration;

use super::error::ProxyError;
use crate::metrics::MethodLabel;

/// What is known of a finished request.
pub(super) struct Entry<'a> {
    pub(super) service: &'a str,
    pub(super) method: MethodLabel,
    /// Path as the caller wrote it, without the query; `None` where the access log is off.
    pub(super) path: Option<&'a str>,
    pub(super) status: Option<u16>,
    pub(super) took: Duration,
    pub(super) failure: Option<&'a ProxyError>,
}

/// Writes the line, if the access log is on.
pub(super) fn write(entry: &Entry<'_>) {
    let Some(path) = entry.path else { return };
    tracing::info!(
        target: "sidekey::access",
        {
            sidekey.service = entry.service,
            http.request.method = entry.method.as_str(),
            url.path = path,
            http.response.status_code = entry.status,
            request.duration_s = entry.took.as_secs_f64(),
            sidekey.error = entry.failure.map(|failure| failure.reason.as_str()),
        },
        "request"
    );
}
