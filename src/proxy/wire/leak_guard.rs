//! A credential that the upstream repeats in its response does not reach the caller.

use crate::config::LeakGuardMode;
use crate::runtime::service::Service;

/// Masks the credential of a service in its responses.
#[derive(Clone, Copy)]
pub(crate) struct LeakGuard<'a>(&'a Service);

impl<'a> LeakGuard<'a> {
    /// The guard of a service for heads and trailers, unless its configuration has switched it off.
    pub(crate) fn of(service: &'a Service) -> Option<Self> {
        (service.leak_guard != LeakGuardMode::Off).then_some(Self(service))
    }

    /// The guard of a service for bodies, if its configuration has switched it on.
    pub(crate) fn of_bodies(service: &'a Service) -> Option<Self> {
        (service.leak_guard == LeakGuardMode::Body).then_some(Self(service))
    }

    /// Masks the credential in a head or in trailers; the length stays. What is found is counted and logged.
    pub(crate) fn mask(self, text: &mut [u8]) {
        let count = self.0.credential.signer().mask(text);
        if count > 0 {
            self.report(count);
        }
    }

    #[cold]
    fn report(self, count: u64) {
        self.0.metrics.credential_redacted(count);
        if let Some(earlier) = self.0.failure_log.admit("credential_repeated") {
            tracing::warn!(
                sidekey.service = &*self.0.name,
                suppressed = earlier,
                "the upstream repeats the credential in the head of its response; it was masked there"
            );
        }
    }

    /// Counts and logs what was masked in a body.
    #[cold]
    pub(super) fn report_body(self, count: u64) {
        self.0.metrics.credential_redacted(count);
        if let Some(earlier) = self.0.failure_log.admit("credential_repeated_in_body") {
            tracing::warn!(
                sidekey.service = &*self.0.name,
                suppressed = earlier,
                "the upstream repeats the credential in the body of its response; it was masked there"
            );
        }
    }

    /// Counts and logs a text that cannot be searched.
    #[cold]
    pub(super) fn report_unsearched(self) {
        self.0.metrics.body_unsearched();
        if let Some(earlier) = self.0.failure_log.admit("body_unsearched") {
            tracing::warn!(
                sidekey.service = &*self.0.name,
                suppressed = earlier,
                "a text of the upstream is compressed, and was not searched for the credential"
            );
        }
    }
}
