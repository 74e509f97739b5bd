//! What to look at if Google gives no token, or rejects one.

use crate::credential::Rejection;
use crate::refresh::{SourceError, SourceErrorKind};

/// What to look at if an API rejects a token, most likely first.
pub(in crate::credential) fn explain_rejection(rejection: &Rejection<'_>) -> Vec<String> {
    let forbidden = [
        "The token is valid, and its identity may not do this: grant its service account or principal a role on the resource. Google's \
         response names the permission that is missing. A new grant takes up to some minutes.",
        "Is the API enabled in the project, and are the `scopes` enough? `https://www.googleapis.com/auth/cloud-platform` leaves it to \
         IAM.",
        "Some APIs bill another project than that of the identity: set `headers: { set: { X-Goog-User-Project: PROJECT } }`.",
    ];
    let unauthorized = [
        "Google's own APIs take an access token (`scopes`); Cloud Run, Cloud Functions and IAP take an ID token (`audience`).",
        "Is `audience` the one that the service verifies? Cloud Run takes its own URL, without a path; IAP its client ID.",
        "Has the service account been deleted or disabled since? If a clock is wrong, a token counts as expired: compare its `exp` with \
         the time.",
    ];
    let scheme = rejection.of_scheme("Bearer").into_iter();
    match rejection.status {
        403 => forbidden.map(str::to_owned).to_vec(),
        _ => scheme.chain(unauthorized.map(str::to_owned)).collect(),
    }
}

/// What to look at if a server of Google cannot be asked; `None` for a refusal, and for a cause on this machine.
pub(in crate::credential) fn explain_connection(error: &SourceError, server: &str) -> Option<String> {
    Some(match error.kind {
        SourceErrorKind::Connect | SourceErrorKind::Timeout => format!(
            "Check that {server} can be reached from here: a network policy or a firewall may be in between. A running Sidekey keeps \
             trying."
        ),
        SourceErrorKind::Tls => {
            format!(
                "Check the certificate of {server}: a proxy that intercepts TLS needs its CA in `tls: {{ ca_file: PATH }}`."
            )
        }
        SourceErrorKind::RateLimited | SourceErrorKind::ServerError => {
            "Google has an error, or limits requests. A running Sidekey keeps trying.".into()
        }
        SourceErrorKind::Malformed => {
            "Another server than Google's answers there, such as a proxy or a login page.".into()
        }
        SourceErrorKind::Local | SourceErrorKind::Refused | SourceErrorKind::LoginRequired => return None,
    })
}
