//! Rotation as a decorator with two secrets: the new one, and the previous one while the upstream rejects the
//! new one.
//!
//! | state | request is signed with | event | next state |
//! |---|---|---|---|
//! | new in use | new | 401 to the new one, then the previous one is accepted in its place | previous in use |
//! | new in use | new | both rejected | new in use; for [`BOTH_REJECTED_INTERVAL`] a 401 is passed on without a second attempt |
//! | previous in use | previous | [`PROBE_INTERVAL`] has passed, and the request can be sent again | one request probes the new one |
//! | previous in use | previous | 401 to the previous one, then the new one is accepted in its place | new in use |
//! | probe | new | accepted | new in use |
//! | probe | new | 401: sent again with the previous one | previous in use, next probe after [`PROBE_INTERVAL`] |
//!
//! The state changes only on the response to a retry or to a probe. Any other response may belong to a
//! request that was sent before the last change.

use std::sync::Arc;
use std::time::Duration;

use super::{
    CredentialStatus, CredentialVersion, Injection, NotReady, OutboundRequest, Owned, Signer,
    UpstreamResponse, Verdict,
};
use crate::net::deadline::{AtomicDeadline, Tick};
use crate::secret::Echoes;

/// The time between two probes of the new secret while the previous one is in use.
const PROBE_INTERVAL: Duration = Duration::from_secs(30);
/// The time between two requests that are sent with both secrets while both are rejected.
const BOTH_REJECTED_INTERVAL: Duration = Duration::from_secs(5);

/// The new secret.
const NEW: CredentialVersion = CredentialVersion::new(1);
/// The new secret, in a probe.
const PROBE: CredentialVersion = CredentialVersion::new(2);
/// The previous secret.
const PREVIOUS: CredentialVersion = CredentialVersion::new(3);

/// A credential with two secrets.
pub struct Rotating {
    service: String,
    new: Box<dyn Signer>,
    previous: Box<dyn Signer>,
    state: RotationState,
}

impl Rotating {
    /// Signs with `new`, or with `previous` while the upstream rejects the new one. Both own the same parts
    /// of a request.
    pub fn new(service: &str, new: Box<dyn Signer>, previous: Box<dyn Signer>) -> Self {
        Self { service: service.to_owned(), new, previous, state: RotationState::new() }
    }

    fn signer(&self, version: CredentialVersion) -> &dyn Signer {
        if version == PREVIOUS { &*self.previous } else { &*self.new }
    }

    fn log(&self, event: RotationEvent) {
        let service = &*self.service;
        match event {
            RotationEvent::ToPrevious => tracing::warn!(
                sidekey.service = service,
                "the upstream rejects the new secret and accepts the one in `previous`, which is used until the new one is accepted"
            ),
            RotationEvent::ToNew => tracing::info!(
                sidekey.service = service,
                "the upstream accepts the new secret; the one in `previous` is no longer used"
            ),
        }
    }
}

impl Signer for Rotating {
    fn owned(&self) -> &Arc<Owned> {
        self.new.owned()
    }

    fn body(&self, body: &super::PendingBody<'_>) -> super::BodyNeed {
        self.new.body(body)
    }

    fn is_single_use(&self) -> bool {
        self.new.is_single_use()
    }

    fn is_refreshable(&self) -> bool {
        true
    }

    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        let version = self.state.choose(request.after.map(|after| split(after).0), request.may_probe);
        let inner = self.signer(version).sign(request, injection)?;
        Ok(joined(version, inner))
    }

    fn refusal(&self, request: &OutboundRequest<'_>) -> Option<&'static str> {
        self.new.refusal(request)
    }

    fn observe(&self, used: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        let (used, inner) = split(used);
        // Only the nonce of the secret was not accepted, or there was none yet.
        if self.signer(used).observe(inner, response) == Verdict::Again {
            return Verdict::Again;
        }
        match (response.status, response.is_retry) {
            (401, true) => self.state.both_rejected(),
            (401, false) if response.can_retry && self.state.may_try_other(used) => return Verdict::Retry,
            // An upstream that is overloaded or fails may not have checked the credential.
            (401 | 429 | 500..=599, _) => {}
            (_, is_retry) => {
                if let Some(event) = self.state.accepted(used, is_retry) {
                    self.log(event);
                }
            }
        }
        Verdict::Pass
    }

    fn mask(&self, text: &mut [u8]) -> u64 {
        self.new.mask(text) + self.previous.mask(text)
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        [self.new.echoes(), self.previous.echoes()].concat()
    }

    fn status(&self) -> CredentialStatus {
        CredentialStatus {
            is_previous_in_use: Some(self.state.is_previous_in_use()),
            ..CredentialStatus::READY
        }
    }
}

/// The version of a request that was signed with one of the secrets, whose own version is `inner`.
fn joined(secret: CredentialVersion, inner: CredentialVersion) -> CredentialVersion {
    CredentialVersion::new(inner.number() << 2 | secret.number())
}

/// The secret, and its own version.
fn split(version: CredentialVersion) -> (CredentialVersion, CredentialVersion) {
    let number = version.number();
    (CredentialVersion::new(number & 3), CredentialVersion::new(number >> 2))
}

/// The state of a rotation: which of the two secrets is in use.
struct RotationState {
    /// The time of the next probe of the new secret. Off while the new one is in use.
    probe_at: AtomicDeadline,
    /// The time of the next request that is sent with both secrets. Off until both were rejected.
    both_at: AtomicDeadline,
}

/// A change of the secret that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RotationEvent {
    /// The upstream rejects the new one and accepts the previous one.
    ToPrevious,
    /// The upstream accepts the new one.
    ToNew,
}

impl RotationState {
    fn new() -> Self {
        Self { probe_at: AtomicDeadline::off(), both_at: AtomicDeadline::off() }
    }

    /// Chooses the secret for a request. After a rejection of `after` it is the other one. If `may_probe` is
    /// set, it can be the new one as a probe.
    fn choose(&self, after: Option<CredentialVersion>, may_probe: bool) -> CredentialVersion {
        self.choose_at(after, may_probe, Tick::now)
    }

    fn choose_at(
        &self,
        after: Option<CredentialVersion>,
        may_probe: bool,
        now: impl Fn() -> Tick,
    ) -> CredentialVersion {
        match after {
            Some(PREVIOUS) => return NEW,
            Some(_) => return PREVIOUS,
            None => {}
        }
        let Some(at) = self.probe_at.get() else { return NEW };
        let is_due = may_probe && at <= now();
        if is_due && self.probe_at.replace(Some(at), now() + PROBE_INTERVAL) {
            return PROBE;
        }
        PREVIOUS
    }

    /// Whether the other secret is tried after the rejection of `used`.
    fn may_try_other(&self, used: CredentialVersion) -> bool {
        self.may_try_other_at(used, Tick::now)
    }

    fn may_try_other_at(&self, used: CredentialVersion, now: impl Fn() -> Tick) -> bool {
        let Some(at) = self.both_at.get() else { return true };
        // A rejected probe is always retried with the secret that is in use.
        if used == PROBE {
            return true;
        }
        at <= now() && self.both_at.replace(Some(at), now() + BOTH_REJECTED_INTERVAL)
    }

    /// Records that the upstream rejected both secrets, one after the other.
    fn both_rejected(&self) {
        self.both_rejected_at(Tick::now);
    }

    fn both_rejected_at(&self, now: impl Fn() -> Tick) {
        self.both_at.set(now() + BOTH_REJECTED_INTERVAL);
    }

    /// Records that the upstream accepted the secret `used`. Returns the change that this causes.
    fn accepted(&self, used: CredentialVersion, is_retry: bool) -> Option<RotationEvent> {
        self.accepted_at(used, is_retry, Tick::now)
    }

    fn accepted_at(
        &self,
        used: CredentialVersion,
        is_retry: bool,
        now: impl Fn() -> Tick,
    ) -> Option<RotationEvent> {
        match (used, is_retry) {
            (PREVIOUS, true) => {
                self.probe_at.replace(None, now() + PROBE_INTERVAL).then_some(RotationEvent::ToPrevious)
            }
            (PROBE, _) | (NEW, true) => self.probe_at.clear().map(|_| RotationEvent::ToNew),
            _ => None,
        }
    }

    fn is_previous_in_use(&self) -> bool {
        self.probe_at.get().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Tick {
        Tick::after_start(Duration::from_secs(second))
    }

    fn rotation() -> RotationState {
        RotationState::new()
    }

    fn chosen(
        rotation: &RotationState,
        after: Option<CredentialVersion>,
        may_probe: bool,
        second: u64,
    ) -> CredentialVersion {
        rotation.choose_at(after, may_probe, || at(second))
    }

    fn accepted(
        rotation: &RotationState,
        used: CredentialVersion,
        is_retry: bool,
        second: u64,
    ) -> Option<RotationEvent> {
        rotation.accepted_at(used, is_retry, || at(second))
    }

    #[test]
    fn rotation_uses_previous_once_accepted_in_place_of_new() {
        let rotation = rotation();
        assert_eq!(chosen(&rotation, None, true, 0), NEW);
        assert_eq!(chosen(&rotation, Some(NEW), true, 0), PREVIOUS);
        assert_eq!(chosen(&rotation, None, true, 1), NEW, "the previous one was not accepted yet");
        assert_eq!(accepted(&rotation, PREVIOUS, true, 1), Some(RotationEvent::ToPrevious));
        assert_eq!(accepted(&rotation, PREVIOUS, true, 1), None, "one event for one change");
        assert!(rotation.is_previous_in_use());
        assert_eq!(chosen(&rotation, None, true, 30), PREVIOUS);
    }

    #[test]
    fn rotation_probes_new_once_per_interval_if_resendable() {
        let rotation = rotation();
        accepted(&rotation, PREVIOUS, true, 0);
        for second in [30, 60, 90] {
            assert_eq!(chosen(&rotation, None, true, second - 1), PREVIOUS);
            assert_eq!(chosen(&rotation, None, false, second), PREVIOUS);
            assert_eq!(chosen(&rotation, None, true, second), PROBE);
            assert_eq!(chosen(&rotation, None, true, second), PREVIOUS);
            assert_eq!(chosen(&rotation, Some(PROBE), true, second), PREVIOUS);
            assert_eq!(accepted(&rotation, PREVIOUS, true, second), None, "in use already");
        }
        assert_eq!(chosen(&rotation, None, true, 1000), PROBE);
        assert_eq!(accepted(&rotation, PROBE, false, 1000), Some(RotationEvent::ToNew));
        assert!(!rotation.is_previous_in_use());
        assert_eq!(chosen(&rotation, None, true, 1000), NEW);
    }

    #[test]
    fn rotation_returns_to_new_if_previous_is_rejected() {
        let rotation = rotation();
        accepted(&rotation, PREVIOUS, true, 0);
        assert_eq!(chosen(&rotation, Some(PREVIOUS), true, 1), NEW);
        assert_eq!(accepted(&rotation, NEW, true, 1), Some(RotationEvent::ToNew));
        assert_eq!(chosen(&rotation, None, true, 1), NEW);
    }

    #[test]
    fn rotation_limits_second_attempts_if_both_are_rejected() {
        let rotation = rotation();
        let may = |used, second| rotation.may_try_other_at(used, || at(second));
        assert!(may(NEW, 0) && may(NEW, 0), "the other one was not rejected yet");
        rotation.both_rejected_at(|| at(1));
        assert!(!may(NEW, 1) && !may(PREVIOUS, 5));
        assert!(may(PROBE, 5) && may(PROBE, 5), "the limit is not for probes");
        assert!(may(NEW, 6));
        assert!(!may(NEW, 6) && !may(NEW, 10));
        assert!(may(PREVIOUS, 11));
    }

    #[test]
    fn rotation_ignores_responses_in_flight_during_a_switch() {
        let rotation = rotation();
        assert_eq!(accepted(&rotation, PREVIOUS, false, 0), None);
        assert_eq!(chosen(&rotation, None, true, 0), NEW);
        accepted(&rotation, PREVIOUS, true, 0);
        assert_eq!(accepted(&rotation, NEW, false, 0), None);
        assert_eq!(chosen(&rotation, None, true, 0), PREVIOUS);
    }
}
