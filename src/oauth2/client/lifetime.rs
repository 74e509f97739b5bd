//! The lifetime of the tokens of one endpoint, and the duration of its last token request.

use std::time::Duration;

use parking_lot::Mutex;

use super::response::ParsedResponse;
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

impl LifetimeMemory {
    /// The lifetime of a new token: what the response states, else what is configured, what the endpoint
    /// stated last, what the token itself hints at.
    pub(crate) fn resolve(&self, response: &ParsedResponse, configured: Option<Duration>) -> Duration {
        let mut last_stated = self.last_stated.lock();
        if response.lifetime_is_stated {
            *last_stated = response.lifetime;
        }
        response
            .lifetime
            .filter(|_| response.lifetime_is_stated)
            .or(configured)
            .or(*last_stated)
            .or(response.lifetime)
            .unwrap_or(UNSTATED_LIFETIME)
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
    use crate::secret::Secret;

    const HOUR: Duration = Duration::from_secs(3600);

    fn response(stated: Option<Duration>, hint: Option<Duration>) -> ParsedResponse {
        ParsedResponse {
            access_token: Secret::new("abc".into()).unwrap(),
            lifetime: stated.or(hint),
            lifetime_is_stated: stated.is_some(),
            scope: None,
            refresh_token: None,
        }
    }

    #[test]
    fn lifetime_is_stated_configured_remembered_or_hinted() {
        let memory = LifetimeMemory::default();
        let hint = Some(HOUR / 4);
        assert_eq!(memory.resolve(&response(None, None), None), UNSTATED_LIFETIME);
        assert_eq!(memory.resolve(&response(None, hint), None), HOUR / 4);
        assert_eq!(memory.resolve(&response(None, hint), Some(HOUR / 3)), HOUR / 3);
        assert_eq!(memory.resolve(&response(Some(HOUR), hint), Some(HOUR / 3)), HOUR);
        assert_eq!(memory.resolve(&response(None, hint), None), HOUR, "the last stated one");
        assert_eq!(memory.resolve(&response(None, hint), Some(HOUR / 3)), HOUR / 3);
    }
}
