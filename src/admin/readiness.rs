//! Whether Sidekey is ready: every service that is not optional has a usable credential. Read from the state of the
//! tokens, never from a task being alive.

use std::fmt::Write;

use crate::runtime::service::Service;

/// One service's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State<'a> {
    pub(super) service: &'a str,
    pub(super) optional: bool,
    pub(super) is_ready: bool,
    /// Why not, as far as it is known.
    pub(super) cause: Option<String>,
}

impl<'a> State<'a> {
    pub(super) fn of(service: &'a Service) -> Self {
        let is_ready = service.credential.is_ready();
        let cause =
            service.credential.store().filter(|_| !is_ready).map(|store| match store.status().last_error {
                Some(error) => error.message,
                None => "the first token is on its way".into(),
            });
        Self { service: &service.name, optional: service.optional, is_ready, cause }
    }
}

/// Whether all is ready, and the text that says what is not.
pub(super) fn readiness<'a>(states: impl IntoIterator<Item = State<'a>>) -> (bool, String) {
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

    fn state(service: &'static str, optional: bool, is_ready: bool) -> State<'static> {
        State {
            service,
            optional,
            is_ready,
            cause: (!is_ready).then(|| "the token endpoint answered 503".into()),
        }
    }

    #[test]
    fn every_service_that_is_not_optional_must_have_a_credential() {
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
