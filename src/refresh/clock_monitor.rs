//! Warns if this machine's clock is wrong.

use super::server::ServerFacts;

/// The clock skew from which on a token or an assertion may count as expired or as not yet valid, in seconds.
pub const MAX_CLOCK_SKEW: f64 = 30.0;

/// Logs once that the clocks differ, and once that they agree again.
#[derive(Default)]
pub(super) struct ClockMonitor {
    is_off: bool,
}

impl ClockMonitor {
    /// Reports what the last answer has shown. `service` names the services that use the value.
    pub(super) fn report(&mut self, service: &str, facts: ServerFacts) {
        let Some(skew) = facts.clock_skew else { return };
        let is_off = skew.abs() > MAX_CLOCK_SKEW;
        if is_off && !self.is_off {
            tracing::warn!(
                sidekey.service = service,
                clock.skew_s = skew.round(),
                "clock skew: this machine's clock and that of the token endpoint differ, so that tokens and assertions may be \
                 rejected. Check the time synchronisation (NTP) of this machine"
            );
        } else if self.is_off && !is_off {
            tracing::info!(sidekey.service = service, "clock skew has ended");
        }
        self.is_off = is_off;
    }
}
