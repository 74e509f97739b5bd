//! The readiness of Sidekey: it is ready if every service that readiness depends on has a usable credential, and none of them one
//! whose next token is in doubt because its refresh token cannot be kept. Decided by the state of the tokens, never by whether a
//! task is alive.

use std::fmt::Write;

use crate::config::{InactiveReason, InactiveService, Readiness};
use crate::refresh::AnyStore;
use crate::runtime::service::Service;
use crate::runtime::snapshot::{Listed, Snapshot};

/// The readiness of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceReadiness<'a> {
    pub(super) service: &'a str,
    /// Whether Sidekey is not ready if the service is not.
    pub(super) is_required: bool,
    pub(super) is_ready: bool,
    /// Why it is not ready, if known.
    pub(super) cause: Option<String>,
}

impl<'a> ServiceReadiness<'a> {
    /// The readiness of every service that is enabled. `was_ready` says that Sidekey was ready before.
    pub(super) fn of_all(snapshot: &'a Snapshot, was_ready: bool) -> Vec<Self> {
        let of = |listed| match listed {
            Listed::Running(service) => Some(Self::of(service, was_ready)),
            Listed::Inactive(service) => Self::of_inactive(service, was_ready),
        };
        snapshot.listed().into_iter().filter_map(of).collect()
    }

    pub(super) fn of(service: &'a Service, was_ready: bool) -> Self {
        let (is_usable, store) = (service.credential.is_ready(), service.credential.store());
        let risk = store.and_then(AnyStore::risk);
        let is_ready = is_usable && risk.is_none();
        let cause = store.filter(|_| !is_usable).map(|store| match store.status().last_error {
            Some(error) => error.message,
            None => "the first token is on its way".into(),
        });
        let had_token = store.is_none_or(|store| store.expiry().is_some());
        let is_required = is_required(service.readiness, was_ready || had_token);
        Self { service: &service.name, is_required, is_ready, cause: cause.or(risk) }
    }

    fn of_inactive(service: &'a InactiveService, was_ready: bool) -> Option<Self> {
        let cause = match service.reason {
            InactiveReason::Disabled => return None,
            InactiveReason::Misconfigured => "its configuration has a mistake",
            InactiveReason::AwaitsStore => "the store of its secret does not answer",
        };
        // A mistake does not end by waiting: with `first`, those that can run serve without it.
        let is_awaited = service.reason == InactiveReason::AwaitsStore;
        let is_required = is_required(service.readiness, was_ready || !is_awaited);
        Some(Self { service: &service.name, is_required, is_ready: false, cause: Some(cause.to_owned()) })
    }
}

/// Whether readiness depends on a service; `was_ready` says that it was ready once, or cannot become ready.
fn is_required(readiness: Readiness, was_ready: bool) -> bool {
    match readiness {
        Readiness::First => !was_ready,
        Readiness::Always => true,
        Readiness::Never => false,
    }
}

/// Whether Sidekey is ready, and a text that lists the services that are not.
pub(super) fn readiness<'a>(states: impl IntoIterator<Item = ServiceReadiness<'a>>) -> (bool, String) {
    let (mut ready, mut text) = (true, String::new());
    for state in states.into_iter().filter(|state| !state.is_ready) {
        ready &= !state.is_required;
        let note = if state.is_required { "" } else { " (not required)" };
        let cause = state.cause.as_deref().unwrap_or("no usable credential");
        writeln!(text, "{}{note}: {cause}", state.service).expect("a String takes everything");
    }
    text.insert_str(0, if ready { "ready\n" } else { "not ready\n" });
    (ready, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(service: &'static str, is_required: bool, is_ready: bool) -> ServiceReadiness<'static> {
        ServiceReadiness {
            service,
            is_required,
            is_ready,
            cause: (!is_ready).then(|| "the token endpoint answered 503".into()),
        }
    }

    #[test]
    fn ready_needs_every_required_service() {
        assert_eq!(readiness([state("a", true, true)]), (true, "ready\n".into()));
        assert_eq!(
            readiness([state("a", true, true), state("b", false, false)]),
            (true, "ready\nb (not required): the token endpoint answered 503\n".into())
        );
        assert_eq!(
            readiness([state("a", true, false), state("b", false, true)]),
            (false, "not ready\na: the token endpoint answered 503\n".into())
        );
        assert!(readiness([]).0);
    }

    #[test]
    fn service_is_required_as_its_readiness_says() {
        for (readiness, before, after) in [
            (Readiness::First, true, false),
            (Readiness::Always, true, true),
            (Readiness::Never, false, false),
        ] {
            assert_eq!((is_required(readiness, false), is_required(readiness, true)), (before, after));
        }
    }
}
