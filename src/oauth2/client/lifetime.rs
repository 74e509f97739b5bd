//! The lifetime of the tokens of one endpoint, and the duration of its last token request.

use std::time::Duration;

use parking_lot::Mutex;

use super::stated_end::{OWN_END, StatedEnd};
use crate::refresh::schedule;

/// The lifetime of a token if neither the endpoint, nor the configuration, nor the token itself states one.
const UNSTATED_LIFETIME: Duration = Duration::from_secs(300);

/// The lifetimes of one endpoint's tokens.
#[derive(Default)]
pub(crate) struct LifetimeMemory {
    /// The lifetime of the last token, and the duration of its request.
    last_request: Mutex<Option<(Duration, Duration)>>,
    /// The lifetime that a response last stated, for responses that state none.
    last_stated: Mutex<Option<Duration>>,
}

/// Why a token is not used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoLifetime {
    /// Its end has passed.
    #[error(
        "the token endpoint issued a token that had expired before it was requested (`{0}`): is this machine's \
         clock right?"
    )]
    Passed(String),
    /// Its end is stated in an unknown form.
    #[error(
        "the token endpoint states the end of its token in a form that is not understood (`{0}`): set \
         `default_expires_in`"
    )]
    NotUnderstood(String),
}

impl LifetimeMemory {
    /// The lifetime of a new token: what the response states, else what is configured, what the endpoint
    /// stated last. Never longer than the token itself states.
    pub(crate) fn resolve(
        &self,
        end: &StatedEnd,
        configured: Option<Duration>,
    ) -> Result<Duration, NoLifetime> {
        let (lifetime, name) = match (&end.stated, &end.not_understood) {
            (Some((lifetime, name)), _) => {
                *self.last_stated.lock() = Some(*lifetime).filter(|lifetime| !lifetime.is_zero());
                (*lifetime, name.as_str())
            }
            (None, Some(name)) => {
                let other = configured.or(end.own);
                (other.ok_or_else(|| NoLifetime::NotUnderstood(name.clone()))?, OWN_END)
            }
            (None, None) => {
                let other = configured.or(*self.last_stated.lock()).or(end.own);
                (other.unwrap_or(UNSTATED_LIFETIME), OWN_END)
            }
        };
        match end.own {
            Some(own) if own.is_zero() => Err(NoLifetime::Passed(OWN_END.into())),
            _ if lifetime.is_zero() => Err(NoLifetime::Passed(name.into())),
            own => Ok(own.map_or(lifetime, |own| own.min(lifetime))),
        }
    }

    /// Remembers a successful token request.
    pub(crate) fn record(&self, lifetime: Duration, duration: Duration) {
        *self.last_request.lock() = Some((lifetime, duration));
    }

    /// The time limit on a token request if none is configured.
    pub(crate) fn request_timeout(&self) -> Duration {
        schedule::request_timeout(*self.last_request.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn end(stated: Option<Duration>, own: Option<Duration>) -> StatedEnd {
        StatedEnd { stated: stated.map(|left| (left, "expires_in".into())), own, not_understood: None }
    }

    #[test]
    fn lifetime_is_stated_configured_remembered_or_hinted() {
        let memory = LifetimeMemory::default();
        let own = Some(HOUR * 2);
        assert_eq!(memory.resolve(&end(None, None), None), Ok(UNSTATED_LIFETIME));
        assert_eq!(memory.resolve(&end(None, own), None), Ok(HOUR * 2));
        assert_eq!(memory.resolve(&end(None, own), Some(HOUR / 3)), Ok(HOUR / 3));
        assert_eq!(memory.resolve(&end(Some(HOUR), own), Some(HOUR / 3)), Ok(HOUR));
        assert_eq!(memory.resolve(&end(None, own), None), Ok(HOUR), "the last stated one");
        assert_eq!(memory.resolve(&end(None, own), Some(HOUR / 3)), Ok(HOUR / 3));
    }

    #[test]
    fn lifetime_is_never_longer_than_the_token_itself_states() {
        let memory = LifetimeMemory::default();
        let own = Some(HOUR / 4);
        assert_eq!(memory.resolve(&end(Some(HOUR), own), None), Ok(HOUR / 4));
        assert_eq!(memory.resolve(&end(None, own), Some(HOUR)), Ok(HOUR / 4));
        assert_eq!(memory.resolve(&end(None, own), None), Ok(HOUR / 4));
        let passed = memory.resolve(&end(Some(HOUR), Some(Duration::ZERO)), None).unwrap_err();
        assert_eq!(passed, NoLifetime::Passed(OWN_END.into()));
        let passed = memory.resolve(&end(Some(Duration::ZERO), None), None).unwrap_err();
        assert_eq!(passed, NoLifetime::Passed("expires_in".into()));
    }

    #[test]
    fn lifetime_that_is_not_understood_has_to_be_configured() {
        let memory = LifetimeMemory::default();
        memory.resolve(&end(Some(HOUR), None), None).unwrap();
        let odd = |own| StatedEnd { not_understood: Some("expires_at".into()), ..end(None, own) };
        let error = memory.resolve(&odd(None), None).unwrap_err().to_string();
        assert!(error.contains("`expires_at`") && error.contains("`default_expires_in`"), "{error}");
        assert_eq!(memory.resolve(&odd(None), Some(HOUR / 2)), Ok(HOUR / 2));
        assert_eq!(memory.resolve(&odd(Some(HOUR / 4)), None), Ok(HOUR / 4));
    }
}
