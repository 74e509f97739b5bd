//! A credential that the upstream repeats in its response does not reach the caller.

use crate::runtime::service::Service;

/// Masks the credential of a service in the heads and trailers of its responses.
#[derive(Clone, Copy)]
pub(crate) struct LeakGuard<'a>(&'a Service);

impl<'a> LeakGuard<'a> {
    /// The guard of a service, unless its configuration has switched it off.
    pub(crate) fn of(service: &'a Service) -> Option<Self> {
        service.leak_guard.then_some(Self(service))
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
}
