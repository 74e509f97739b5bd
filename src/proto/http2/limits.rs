//! Limits on HTTP/2 connections, the same toward callers and toward upstreams unless they say otherwise.

/// Bytes that the peer may send by one stream before they are read.
pub const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes that a caller may send by all streams of a connection before they are read.
pub const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The same for an upstream, whose connection is that of many callers: more than the windows of all its streams, so that callers that
/// do not read their responses leave the connection to the others.
pub const UPSTREAM_CONNECTION_WINDOW: u32 = 1 << 30;
/// Size of the largest frame that is accepted.
pub const MAX_FRAME: u32 = 32 * 1024;
/// Size of the largest head of a request that is accepted: names, values and 32 bytes for each field (RFC 9113
/// §6.5.2).
pub const MAX_HEAD: u32 = 64 * 1024;
/// A peer that causes this side to refuse or reset more streams than this in the life of a connection is
/// disconnected.
pub const MAX_LOCAL_RESETS: usize = 1000;
/// Streams that the peer may reset before this side has accepted them (rapid reset, CVE-2023-44487).
pub const MAX_PENDING_RESETS: usize = 20;
/// Streams that this side has reset and remembers, so that their late frames are not an error.
pub const REMEMBERED_RESETS: usize = 32;
/// Size of HPACK's dynamic table (RFC 7541 §4.2): the default of HTTP/2.
pub const HEADER_TABLE_SIZE: u32 = 4096;
