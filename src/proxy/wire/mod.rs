//! Bytes of HTTP/1.1: heads parsed and written, framing, bodies and tunnels moved between two connections.

pub(super) mod framing;
pub(super) mod location;
pub(super) mod parse_head;
pub(super) mod relay;
pub(super) mod timer;
pub(super) mod tunnel;
pub(super) mod write_head;
