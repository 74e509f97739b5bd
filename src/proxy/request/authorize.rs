//! The rules of a service, applied to a request as its upstream will get it.

use super::destination;
use crate::credential::Owned;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::wire::parse_head::RequestHead;
use crate::rules::{Decision, Denial, RequestView, Rules, path_at_upstream};
use crate::upstream::Endpoint;

/// Rejects a request that the rules do not allow. `path` and `query` are what the caller sent below the service, and
/// `destination` is the rewritten `Destination`, if there is one.
pub(super) fn check(
    rules: &Rules,
    removed: &Owned,
    head: &RequestHead<'_, '_>,
    endpoint: &Endpoint,
    (path, query): (&str, Option<&str>),
    destination: Option<&str>,
) -> Result<(), ProxyError> {
    let path = path_at_upstream(&endpoint.base_path, path);
    let destination = head.destination.map(|sent| {
        let sent = destination.unwrap_or_else(|| std::str::from_utf8(sent).unwrap_or_default());
        let path = destination::path(sent).unwrap_or_default();
        path.split(['?', '#']).next().unwrap_or_default()
    });
    let view = RequestView {
        method: head.method,
        is_websocket: head.meta.is_websocket,
        path: &path,
        query,
        destination,
        // A field that is not passed on can hide nothing.
        field_names: head.fields.iter().map(|field| field.name).filter(|name| !removed.owns_header(name)),
    };
    match rules.decide(view) {
        Decision::Allowed(_) => Ok(()),
        Decision::Denied(denial) => Err(denied(&denial)),
    }
}

fn denied(denial: &Denial<'_>) -> ProxyError {
    ProxyError { is_rule: true, ..ProxyError::new(ErrorReason::Denied, denial.to_string()) }
}
