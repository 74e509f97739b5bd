//! What to do about the state of a service, in the words of a test: for the status page.

use super::explain::INTERNAL_ERROR;
use super::failure::Failure;
use super::role::Role;
use crate::config::Auth;
use crate::credential::{Rejection, explain_401};

/// What to do about requests that fail at the upstream, by their reason (`Sidekey-Error`) and the cause in the log.
pub fn advice_on_failure(reason: &str, cause: &str) -> Vec<String> {
    Failure::of_request(reason, cause).suggestions(Role::Upstream)
}

/// What to do if the upstream answers 401.
pub fn advice_on_401(auth: &Auth) -> Vec<String> {
    explain_401(auth, &Rejection { status: 401, challenges: &[], token_scheme: None })
}

/// What to do if the upstream answers 5xx.
pub fn advice_on_errors() -> Vec<String> {
    vec![INTERNAL_ERROR.to_owned()]
}
