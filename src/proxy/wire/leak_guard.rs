//! A credential that the upstream repeats in its response does not reach the caller.

use std::sync::Arc;

use crate::config::LeakGuardMode;
use crate::oauth2::caller_tokens::Subject;
use crate::runtime::service::Service;
use crate::secret::Echoes;

/// Masks the credential of a service in its responses.
#[derive(Clone, Copy)]
pub(crate) struct LeakGuard<'a> {
    service: &'a Service,
    /// The caller's token, if there is one of its own for it.
    subject: Option<&'a Subject>,
    /// What the request sent, and what may have been replaced since.
    sent: &'a [Arc<Echoes>],
}

impl<'a> LeakGuard<'a> {
    /// The guard of a service for heads and trailers, unless its configuration has switched it off.
    pub(crate) fn of(
        service: &'a Service,
        subject: Option<&'a Subject>,
        sent: &'a [Arc<Echoes>],
    ) -> Option<Self> {
        (service.leak_guard != LeakGuardMode::Off).then_some(Self { service, subject, sent })
    }

    /// The guard of a service for bodies, if its configuration has switched it on.
    pub(crate) fn of_bodies(service: &'a Service) -> Option<Self> {
        (service.leak_guard == LeakGuardMode::Body).then_some(Self { service, subject: None, sent: &[] })
    }

    /// Masks the credential in a head or in trailers; the length stays. What is found is counted and logged.
    pub(crate) fn mask(self, text: &mut [u8]) {
        let mut count = self.service.credential.signer().mask(text);
        if let Some(subject) = self.subject {
            count += subject.mask(text);
        }
        count += self.sent.iter().map(|echoes| echoes.mask(text)).sum::<u64>();
        if count > 0 {
            self.report(count);
        }
    }

    #[cold]
    fn report(self, count: u64) {
        self.service.metrics.credential_redacted(count);
        if let Some(earlier) = self.service.failure_log.admit("credential_repeated") {
            tracing::warn!(
                sidekey.service = &*self.service.name,
                suppressed = earlier,
                "the upstream repeats the credential in the head of its response; it was masked there"
            );
        }
    }

    /// Counts and logs what was masked in a body.
    #[cold]
    pub(super) fn report_body(self, count: u64) {
        self.service.metrics.credential_redacted(count);
        if let Some(earlier) = self.service.failure_log.admit("credential_repeated_in_body") {
            tracing::warn!(
                sidekey.service = &*self.service.name,
                suppressed = earlier,
                "the upstream repeats the credential in the body of its response; it was masked there"
            );
        }
    }

    /// Counts and logs a text that cannot be searched.
    #[cold]
    pub(super) fn report_unsearched(self) {
        self.service.metrics.body_unsearched();
        if let Some(earlier) = self.service.failure_log.admit("body_unsearched") {
            tracing::warn!(
                sidekey.service = &*self.service.name,
                suppressed = earlier,
                "a text of the upstream is compressed, and was not searched for the credential"
            );
        }
    }
}
