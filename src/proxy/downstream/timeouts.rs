//! Time limits of a downstream connection, for all protocols.

use std::time::Duration;

/// The time for which a connection may be idle.
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(300);
/// The time from the first byte of a head to its end.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The time for a lingering close: a caller that is still sending after the response is read for this time,
/// so that no reset discards the response.
pub(crate) const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
