//! What the identities of platforms say alike, if their server gives no token or an API rejects one.

use super::Rejection;
use crate::refresh::{SourceError, SourceErrorKind};

/// What to look at if an API rejects a bearer token, most likely first: for a token that it knows (403), and for one that it does not.
pub(super) fn of_rejection(
    rejection: &Rejection<'_>,
    forbidden: &[&str],
    unauthorized: &[&str],
) -> Vec<String> {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    match rejection.status {
        403 => texts(forbidden),
        _ => rejection.of_scheme("Bearer").into_iter().chain(texts(unauthorized)).collect(),
    }
}

/// What to look at if a server cannot be asked; `None` for a refusal, and for a cause on this machine. `another` is about an answer of
/// another server than that of `vendor`.
pub(super) fn of_connection(
    error: &SourceError,
    server: &str,
    vendor: &str,
    another: &str,
) -> Option<String> {
    Some(match error.kind {
        SourceErrorKind::Connect | SourceErrorKind::Timeout => format!(
            "Check that {server} can be reached from here: a network policy or a firewall may be in between. A running Sidekey keeps \
             trying."
        ),
        SourceErrorKind::Tls => format!(
            "Check the certificate of {server}: a proxy that intercepts TLS needs its CA in `tls: {{ ca_file: PATH }}`."
        ),
        SourceErrorKind::RateLimited | SourceErrorKind::ServerError => {
            format!("{vendor} has an error, or limits requests. A running Sidekey keeps trying.")
        }
        SourceErrorKind::Malformed => another.to_owned(),
        SourceErrorKind::Local | SourceErrorKind::Refused | SourceErrorKind::LoginRequired => return None,
    })
}
