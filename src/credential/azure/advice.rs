//! What to look at if Microsoft gives no token, or rejects one.

use crate::credential::{Rejection, advice};
use crate::refresh::SourceError;

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
