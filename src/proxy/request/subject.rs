//! The token of a caller, for services whose tokens are requested with it.

use httparse::Header;

use super::caller::RequestCaller;
use crate::callers;
use crate::callers::{CallerId, Refusal};
use crate::oauth2::caller_tokens::{Presenter, Subject, Unavailable};
use crate::proxy::error::{Challenge, ErrorReason, ProxyError};
use crate::proxy::session::ConnectionContext;

const NO_SUBJECT: &str = "The request presents no bearer token, which this service exchanges for a token of the upstream; nothing was forwarded.";
const MALFORMED: &str = "The request presents no single well-formed bearer token, which this service exchanges for a token of the upstream; nothing was forwarded.";
const REFUSED: &str = "The token endpoint of this service refuses the token that the request presents, or that has expired; nothing was forwarded.";

/// Reads the token that stands for the caller of an accepted request. `caller` is `None` if the configuration has no callers.
pub(super) fn of(
    context: &ConnectionContext,
    caller: Option<&RequestCaller<'_>>,
    fields: &[Header<'_>],
) -> Result<Box<Subject>, ProxyError> {
    let of_connect = context.peer.intercepted().and_then(|within| within.credential.as_ref());
    let of_connect = of_connect.map(|credential| credential.as_slice());
    let presented = match caller {
        Some(caller) => caller.policy.subject(fields, of_connect),
        None => callers::subject(fields),
    };
    let presented = presented.map_err(|refusal| unauthenticated(refusal.as_str(), true, MALFORMED))?;
    let presented =
        presented.ok_or_else(|| unauthenticated(Refusal::NoCredential.as_str(), false, NO_SUBJECT))?;
    let by = caller.map_or(Presenter::Anybody, |caller| Presenter::Caller(caller.id.map(CallerId::position)));
    let subject = Subject::new(presented.bytes());
    subject
        .map(|subject| Box::new(subject.presented_by(by)))
        .ok_or_else(|| unauthenticated(Refusal::MalformedCredential.as_str(), true, MALFORMED))
}

/// The error for a caller for which there is no token.
pub(super) fn unavailable(why: Unavailable) -> ProxyError {
    match why {
        Unavailable::Refused => unauthenticated(&why.to_string(), true, REFUSED),
        Unavailable::Failing { retry_after } => {
            let failure = ProxyError::new(ErrorReason::CredentialUnavailable, why.to_string());
            // Rounded up, so that the next token request may be made when the caller retries.
            ProxyError { retry_after: Some(retry_after.as_secs() + 1), ..failure }
        }
        Unavailable::Overloaded => {
            ProxyError { retry_after: Some(1), ..ProxyError::new(ErrorReason::Overloaded, why.to_string()) }
        }
    }
}

fn unauthenticated(cause: &str, is_presented: bool, detail: &'static str) -> ProxyError {
    ProxyError {
        detail: Some(detail),
        challenge: Some(Challenge::Server(is_presented)),
        ..ProxyError::new(ErrorReason::Unauthenticated, cause)
    }
}
