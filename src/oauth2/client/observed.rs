//! What an answer, or a failure, shows of the server that was asked.

use std::time::SystemTime;

use http::header::{AGE, DATE};
use reqwest::tls::TlsInfo;

use crate::refresh::{SourceServer, clock_skew};
use crate::tls::expiry::not_after;
use crate::tls::presented::expired_at;

/// Learns the clock skew and the end of the certificate from an answer to a request that was sent at this time.
pub(crate) fn learn_from(server: &SourceServer, answer: &reqwest::Response, sent_at: SystemTime) {
    // The date of an answer from a cache is that of the first one (RFC 9111 §5.1).
    let is_cached = answer.headers().contains_key(AGE);
    let skew =
        date(answer).filter(|_| !is_cached).and_then(|date| clock_skew(date, sent_at, SystemTime::now()));
    if let Some(skew) = skew {
        server.set_clock_skew(skew);
    }
    let certificate = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    if let Some(end) = certificate.and_then(not_after) {
        server.set_certificate_end(end);
    }
}

/// Learns the end of the certificate from a request that failed because it has ended.
pub(crate) fn learn_from_error(server: &SourceServer, error: &reqwest::Error) {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(end) = expired_at(cause) {
            server.set_certificate_end(end);
            return;
        }
        source = cause.source();
    }
}

/// `Date` of an answer.
pub(crate) fn date(answer: &reqwest::Response) -> Option<SystemTime> {
    httpdate::parse_http_date(answer.headers().get(DATE)?.to_str().ok()?).ok()
}
