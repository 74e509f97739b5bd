//! HTTP/2 on both sides: callers, upstreams, retries, WebSockets, and hostile or broken peers.

mod conformance;
mod downstream;
mod frame_server;
mod frames;
mod heads;
mod hostile_downstream;
mod hostile_upstream;
mod retries;
mod sensitive_fields;
mod unfinished_frames;
mod upstream;
mod upstream_faults;
mod websockets;
