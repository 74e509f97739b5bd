//! Limits for a caller's connection, whatever it speaks.

use std::time::Duration;

/// The time that a connection may be idle.
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(300);
/// The time from the first byte of a head to its end.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The time for the end of a connection: a caller that is still sending when it has been answered is read for this long,
/// so that the answer is not lost in a reset.
pub(crate) const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
