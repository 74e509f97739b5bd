//! What to look at if Google gives no token, or rejects one.

use crate::credential::{Rejection, advice};
use crate::refresh::SourceError;

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
    advice::of_rejection(rejection, &forbidden, &unauthorized)
}

/// What to look at if a server of Google cannot be asked; `None` for a refusal, and for a cause on this machine.
pub(in crate::credential) fn explain_connection(error: &SourceError, server: &str) -> Option<String> {
    let another = "Another server than Google's answers there, such as a proxy or a login page.";
    advice::of_connection(error, server, "Google", another)
}
