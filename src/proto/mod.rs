//! HTTP as a protocol: classes of header fields, `WWW-Authenticate`, `Retry-After`, HTTP/2 streams as
//! HTTP/1.1 messages.

pub mod challenge;
mod field_name;
pub mod fields;
pub mod grpc;
pub mod grpc_web;
pub mod http2;
pub mod max_forwards;
pub mod method;
mod origin_date;
pub mod retry_after;
pub mod via;

pub use field_name::FieldName;
pub use origin_date::origin_date;
