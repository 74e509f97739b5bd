//! HTTP as a protocol: the class of each header field, and HTTP/2 streams as HTTP/1.1 messages.

pub mod fields;
pub mod http2;
