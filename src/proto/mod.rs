//! HTTP as a protocol: the class of each header field, HTTP/2 streams as HTTP/1.1 messages, `Retry-After`.

pub mod challenge;
pub mod fields;
pub mod http2;
pub mod retry_after;
