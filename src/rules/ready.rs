//! Rules with a name, for common needs.

/// The rules: a name, the methods, and what it covers, for documentation.
pub const READY: [(&str, &str, &str); 2] = [
    ("read_only", "GET,HEAD,OPTIONS", "what reads: GET, HEAD and OPTIONS of any path, and no WebSocket"),
    ("websocket", "WEBSOCKET", "the opening of a WebSocket at any path"),
];
