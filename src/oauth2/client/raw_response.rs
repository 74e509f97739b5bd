//! An answer of an endpoint before it is parsed.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

use super::redact::Redactor;

/// An answer of an endpoint before it is parsed.
pub(crate) struct RawResponse {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, without content coding.
    pub body: Zeroizing<Vec<u8>>,
    /// When the request was sent.
    pub sent_at: SystemTime,
    /// The secrets that the answer may repeat.
    pub redactor: Redactor,
}

#[cfg(test)]
impl RawResponse {
    /// An answer to a request that was sent at 2026-01-01T00:00:00Z.
    pub(crate) fn for_test(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: Zeroizing::new(body.to_vec()),
            sent_at: std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_225_600),
            redactor: Redactor::default(),
        }
    }
}
