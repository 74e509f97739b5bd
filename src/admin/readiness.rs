//! The readiness of Sidekey: it is ready if every service that is not optional has a usable credential, and none whose next
//! token is in doubt because its refresh token cannot be kept. Decided by the state of the tokens, never by whether a task is
//! alive.

use std::fmt::Write;

use crate::runtime::service::Service;

/// The readiness of one service's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CredentialReadiness<'a> {
    pub(super) service: &'a str,
    pub(super) optional: bool,
    pub(super) is_ready: bool,
    /// Why it is not ready, if known.
    pub(super) cause: Option<String>,
}

impl<'a> CredentialReadiness<'a> {
    pub(super) fn of(service: &'a Service) -> Self {
        let (is_usable, store) = (service.credential.is_ready(), service.credential.store());
        let risk = store.and_then(|store| store.risk());
        let is_ready = is_usable && risk.is_none();
        let cause = store.filter(|_| !is_usable).map(|store| match store.status().last_error {
            Some(error) => error.message,
            None => "the first token is on its way".into(),
        });
        Self { service: &service.name, optional: service.optional, is_ready, cause: cause.or(risk) }
    }
}

/// Whether Sidekey is ready, and a text that lists the services that are not.
pub(super) fn readiness<'a>(states: impl IntoIterator<Item = CredentialReadiness<'a>>) -> (bool, String) {
    let (mut ready, mut text) = (true, String::new());
    for state in states.into_iter().filter(|state| !state.is_ready) {
        ready &= state.optional;
        let note = if state.optional { " (optional)" } else { "" };
        let cause = state.cause.as_deref().unwrap_or("no usable credential");
        writeln!(text, "{}{note}: {cause}", state.service).expect("a String takes everything");
    }
    text.insert_str(0, if ready { "ready\n" } else { "not ready\n" });
    (ready, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(service: &'static str, optional: bool, is_ready: bool) -> CredentialReadiness<'static> {
        CredentialReadiness {
            service,
            optional,
            is_ready,
            cause: (!is_ready).then(|| "the token endpoint answered 503".into()),
        }
    }

    #[test]
    fn ready_needs_every_service_that_is_not_optional() {
        assert_eq!(readiness([state("a", false, true)]), (true, "ready\n".into()));
        assert_eq!(
            readiness([state("a", false, true), state("b", true, false)]),
            (true, "ready\nb (optional): the token endpoint answered 503\n".into())
        );
        assert_eq!(
            readiness([state("a", false, false), state("b", true, true)]),
            (false, "not ready\na: the token endpoint answered 503\n".into())
        );
        assert!(readiness([]).0);
    }
}
