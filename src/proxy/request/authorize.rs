//! The rules of a service and the roles of a caller, applied to a request as its upstream will get it.

use super::caller;
use super::caller::RequestCaller;
use super::destination;
use crate::callers::{NotPermitted, Refusal};
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::parse_head::RequestHead;
use crate::rules::{Decision, Denial, RequestView, Rule, path_at_upstream};
use crate::runtime::service::Service;
use crate::upstream::Endpoint;

/// A request, as far as rules and roles depend on it.
pub(super) struct Subject<'r, 'h, 'b> {
    pub(super) service: &'r Service,
    /// The position of the service.
    pub(super) index: usize,
    pub(super) head: &'r RequestHead<'h, 'b>,
    pub(super) endpoint: &'r Endpoint,
    /// Path and query, as the caller sent them below the service.
    pub(super) target: (&'r str, Option<&'r str>),
    /// The rewritten `Destination`, if there is one.
    pub(super) destination: Option<&'r str>,
    /// Whether the listener requires a known caller.
    pub(super) requires_caller: bool,
}

/// What a decision is based on. The role has its line in the configuration.
#[derive(Default, Clone, Copy)]
pub(crate) struct Grounds<'p> {
    /// The role of the caller.
    pub(crate) role: Option<(&'p str, usize)>,
    /// The rule of the role or of the service.
    pub(crate) rule: Option<&'p Rule>,
}

/// A request that is not allowed.
pub(super) struct Denied<'p> {
    pub(super) refusal: Refusal,
    pub(super) error: ProxyError,
    pub(super) grounds: Grounds<'p>,
}

/// Rejects a request that the rules of its service or the roles of its caller do not allow. `caller` is `None` if the configuration
/// has no callers.
pub(super) fn check<'p>(
    subject: &Subject<'p, '_, '_>,
    caller: Option<&RequestCaller<'p>>,
) -> Result<Grounds<'p>, Box<Denied<'p>>> {
    let Subject { service, head, endpoint, target: (path, query), .. } = *subject;
    let path = path_at_upstream(&endpoint.base_path, path);
    let destination = head.destination.map(|sent| {
        let sent = subject.destination.unwrap_or_else(|| std::str::from_utf8(sent).unwrap_or_default());
        let path = destination::path(sent).unwrap_or_default();
        path.split(['?', '#']).next().unwrap_or_default()
    });
    let view = || RequestView {
        method: head.method,
        is_websocket: head.meta.is_websocket,
        path: &path,
        query,
        destination,
        // A field that is not passed on can hide nothing.
        field_names: head
            .fields
            .iter()
            .map(|field| field.name)
            .filter(|name| !service.removed.owns_header(name)),
    };
    let mut grounds = Grounds::default();
    if let Some(caller) = caller {
        let permitted = caller
            .policy
            .permit(subject.index, caller.id, subject.requires_caller, |rules| rules.decide(view()))
            .map_err(|not_permitted| Box::new(denied_to(caller, &not_permitted, head.absolute)))?;
        grounds = Grounds { role: permitted.role, rule: permitted.rule };
    }
    match service.rules.as_ref().map(|rules| rules.decide(view())) {
        None => Ok(grounds),
        Some(Decision::Allowed(rule)) => Ok(Grounds { rule: rule.or(grounds.rule), ..grounds }),
        Some(Decision::Denied(denial)) => {
            Err(Box::new(denied(Refusal::Rule, None, denial.to_string(), Some(&denial))))
        }
    }
}

fn denied_to<'p>(caller: &RequestCaller<'p>, why: &NotPermitted<'p>, to_proxy: bool) -> Denied<'p> {
    match (why.refusal, why.role, &why.denial) {
        (Refusal::NoCredential, ..) => Denied {
            refusal: Refusal::NoCredential,
            error: caller::refused(Refusal::NoCredential, to_proxy),
            grounds: Grounds::default(),
        },
        (refusal, Some(role), Some(denial)) => {
            denied(refusal, Some(role), format!("role {}: {denial}", role.0), Some(denial))
        }
        (refusal, ..) => {
            denied(refusal, None, format!("no role of the caller {} names the service", caller.name()), None)
        }
    }
}

fn denied<'p>(
    refusal: Refusal,
    role: Option<(&'p str, usize)>,
    text: String,
    denial: Option<&Denial<'p>>,
) -> Denied<'p> {
    let decisive = match denial {
        Some(Denial::Rule(found)) => Some(*found),
        _ => None,
    };
    let error = ProxyError { is_rule: true, ..ProxyError::new(ErrorReason::Denied, text) };
    Denied { refusal, error, grounds: Grounds { role, rule: decisive } }
}
