//! The time limits of a downstream connection that are not configured.

use std::time::Duration;

/// The time for a lingering close: a caller that is still sending after the response is read for this time,
/// so that no reset discards the response.
pub(crate) const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
