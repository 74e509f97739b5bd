//! TCP keep-alive: finds out that the other end of a connection on which nothing is said has vanished without a word.

use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// The first question after so long a silence: less than the time after which common NATs and load balancers forget.
const IDLE_BEFORE_PROBE: Duration = Duration::from_secs(60);
/// The next ones after as long each; the system's own count of them.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Switches it on. A listening socket hands it to every connection that it accepts. A socket that does not take it works
/// without.
pub fn enable_keepalive(socket: &impl AsFd) {
    let settings = TcpKeepalive::new().with_time(IDLE_BEFORE_PROBE).with_interval(PROBE_INTERVAL);
    if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&settings) {
        tracing::debug!("no TCP keep-alive: {error}");
    }
}
