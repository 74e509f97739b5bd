//! What to look at if Microsoft gives no token, or rejects one.

use crate::credential::{Rejection, UpstreamErrors, advice};
use crate::refresh::SourceError;

/// Errors of APIs of Microsoft.
pub(in crate::credential) const UPSTREAM_ERRORS: UpstreamErrors = &[
    (
        "Please provide a custom subdomain",
        "`upstream` must be the host of the resource, `https://NAME.openai.azure.com`: the host of a region takes keys alone.",
    ),
    (
        "lacks the required data action",
        "The token is good, and its identity has no role at the resource: `Cognitive Services OpenAI User` for Azure OpenAI. A new \
         assignment takes some minutes.",
    ),
    (
        "does not match resource tenant",
        "The resource is in another tenant than the identity: compare `tenant_id`.",
    ),
    ("InvalidAuthenticationTokenAudience", "The token is for another API: correct `scope`."),
    (
        "InvalidAuthenticationTokenTenant",
        "The token is from another tenant than the resource: compare `tenant_id`.",
    ),
    (
        "AuthorizationFailed",
        "The token is good, and its identity has no role for this: assign one at the resource, and wait some minutes.",
    ),
    (
        "AuthorizationPermissionMismatch",
        "The identity has no role for data, such as `Storage Blob Data Reader`; that of an owner is none.",
    ),
];

/// What to look at if an API of Microsoft rejects a token, most likely first.
pub(in crate::credential) fn explain_rejection(rejection: &Rejection<'_>) -> Vec<String> {
    let forbidden = [
        "The token is valid, and its identity may not do this: assign it a role at the resource, such as `Cognitive Services OpenAI \
         User` for Azure OpenAI. A new assignment takes some minutes.",
        "The resource may refuse this network: look at its firewall and its private endpoints.",
    ];
    let unauthorized = [
        "Is `scope` that of this API? Compare `aud` of the token (`sidekey test` shows it): Azure OpenAI and AI services take \
         `https://cognitiveservices.azure.com`.",
        "Has the identity a role at the resource, such as `Cognitive Services OpenAI User`? Azure OpenAI answers 401 without one, and \
         others 403. A new assignment takes some minutes.",
        "Is the resource in the same tenant as the identity? Compare `iss` and `tid` of the token.",
        "Azure OpenAI and AI services take tokens at the host of the resource (`https://NAME.openai.azure.com`) alone, not at that of \
         a region.",
        "If a clock is wrong, a token counts as expired or not yet valid: compare its `nbf` and `exp` with the time.",
    ];
    advice::of_rejection(rejection, &forbidden, &unauthorized)
}

/// What to look at if a server of Microsoft gives no token and cannot be asked, most likely first.
pub(in crate::credential) fn explain_connection(error: &SourceError, server: &str) -> Option<String> {
    let another =
        "Another server answers there, such as a proxy or a login page: check the URL in the message.";
    advice::of_connection(error, server, "Microsoft", another)
}
