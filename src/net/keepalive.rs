//! TCP keep-alive: detects that the peer of an idle connection is gone.

use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Idle time before the first probe: less than the idle timeouts of common NATs and load balancers.
const IDLE_BEFORE_PROBE: Duration = Duration::from_secs(60);
/// Time between probes. Their number is the system's default.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Enables keep-alive. Connections inherit it from the listening socket that accepts them. A socket without
/// support works without it.
pub fn enable_keepalive(socket: &impl AsFd) {
    let settings = TcpKeepalive::new().with_time(IDLE_BEFORE_PROBE).with_interval(PROBE_INTERVAL);
    if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&settings) {
        tracing::debug!("TCP keep-alive is not available: {error}");
    }
}
