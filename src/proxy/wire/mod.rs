//! HTTP/1.1 on the wire: parses and writes heads, finds the end of bodies, and moves bytes between two
//! connections.

pub(super) mod body;
pub(super) mod body_guard;
pub(super) mod framing;
pub(super) mod leak_guard;
mod link;
pub(super) mod location;
pub(super) mod parse_head;
mod recoder;
pub(super) mod relay;
pub(super) mod response_urls;
pub(super) mod text;
pub(super) mod timer;
mod trailers;
pub(super) mod tunnel;
pub(super) mod write_head;
