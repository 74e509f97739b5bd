//! Who sends a request.

use httparse::Header;

use crate::callers::{CallerId, CallerPolicy, Refusal};
use crate::proxy::error::{Challenge, ErrorReason, ProxyError};
use crate::proxy::session::ConnectionContext;

/// Who sends a request, in a configuration that has callers.
#[derive(Clone, Copy)]
pub(crate) struct RequestCaller<'p> {
    pub(crate) policy: &'p CallerPolicy,
    /// `None` if the caller is not known.
    pub(crate) id: Option<CallerId>,
}

impl<'p> RequestCaller<'p> {
    /// A caller that is not known.
    pub(crate) fn unknown(policy: &'p CallerPolicy) -> Self {
        Self { policy, id: None }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'p str {
        self.policy.name(self.id)
    }
}

/// Finds the caller of a request with these fields.
///
/// # Errors
///
/// If a credential is not accepted, or if the listener requires a known caller and this one is not.
pub(crate) fn identify<'p>(
    policy: &'p CallerPolicy,
    context: &ConnectionContext,
    fields: &[Header<'_>],
) -> Result<RequestCaller<'p>, Refusal> {
    let of_connect = context.peer.intercepted().and_then(|within| within.credential.as_ref());
    let id = policy.identify(context.caller(), fields, of_connect.map(|credential| credential.as_slice()))?;
    if id.is_none() && context.listener.requires_caller {
        return Err(Refusal::NoCredential);
    }
    Ok(RequestCaller { policy, id })
}

/// The error for a request that is refused because of its caller. `to_proxy` says whether it is sent to Sidekey as a proxy.
pub(crate) fn refused(refusal: Refusal, to_proxy: bool) -> ProxyError {
    let cause = format!("{}: {refusal}", refusal.as_str());
    if refusal == Refusal::KeysUnavailable {
        let failure = ProxyError::new(ErrorReason::CallerKeysUnavailable, cause);
        return ProxyError { retry_after: Some(1), ..failure };
    }
    let challenge = if to_proxy { Challenge::Proxy } else { Challenge::Server(refusal.is_of_credential()) };
    ProxyError {
        is_rule: true,
        challenge: Some(challenge),
        ..ProxyError::new(ErrorReason::Unauthenticated, cause)
    }
}
