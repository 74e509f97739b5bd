//! Decisions about requests, as the audit log records them.

use super::authorize::Grounds;
use super::caller::RequestCaller;
use crate::audit::{Event, Reason};
use crate::callers::Refusal;
use crate::proxy::error::ProxyError;
use crate::proxy::session::ConnectionContext;

/// What was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    /// The path, or the target of a `CONNECT`. `None` if the request leads to no service.
    pub(crate) path: Option<&'a str>,
    /// The name of the service; empty if the request leads to none.
    pub(crate) service: &'a str,
    /// The position of the service.
    pub(crate) index: Option<usize>,
}

/// Counts and records a decision. `caller` is `None` if the configuration has no callers.
pub(crate) fn record(
    context: &ConnectionContext,
    caller: Option<&RequestCaller<'_>>,
    asked: Asked<'_>,
    grounds: Grounds<'_>,
    refused: Option<(Refusal, &ProxyError)>,
) {
    if let Some(caller) = caller {
        caller.policy.count(asked.index, caller.id, refused.map(|(refusal, _)| refusal));
    }
    let Some(audit) = &context.snapshot().audit else { return };
    if refused.is_none() && !audit.records_allowed() {
        return;
    }
    audit.record(&Event {
        caller: caller.map(RequestCaller::name),
        known_by: caller.map_or("", |caller| caller.policy.known_by(caller.id)),
        listener: context.listener.address(),
        method: asked.method,
        path: asked.path.map(|path| path.split('?').next().unwrap_or_default()),
        service: asked.service,
        refused: refused.map(|(refusal, error)| Reason { name: refusal.as_str(), text: &error.cause }),
        role: grounds.role,
        rule: grounds.rule,
    });
}
