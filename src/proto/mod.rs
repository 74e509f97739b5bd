//! HTTP as a protocol: classes of header fields, `WWW-Authenticate`, `Retry-After`, HTTP/2 streams as
//! HTTP/1.1 messages.

pub mod challenge;
pub mod fields;
pub mod http2;
pub mod retry_after;
