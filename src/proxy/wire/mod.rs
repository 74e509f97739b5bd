//! HTTP/1.1 on the wire: parses and writes heads, finds the end of bodies, and moves bytes between two
//! connections.

pub(super) mod framing;
pub(super) mod location;
pub(super) mod parse_head;
pub(super) mod relay;
pub(super) mod timer;
pub(super) mod tunnel;
pub(super) mod write_head;
