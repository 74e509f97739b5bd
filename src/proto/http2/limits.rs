//! Limits on HTTP/2 connections, the same toward callers and toward upstreams.
//!
//! Every limit is set, so that none depends on a default of the `h2` crate.

use std::time::Duration;

use h2::client;

/// Bytes that the peer may send by one stream before they are read.
pub const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes that the peer may send by all streams of a connection before they are read.
pub const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes that are buffered for one stream if an upstream reads slowly.
pub const SEND_BUFFER: usize = 64 * 1024;
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
/// Time for which they are remembered on a connection to an upstream. A connection from a caller remembers the last ones.
pub const RESET_MEMORY: Duration = Duration::from_secs(5);
/// Size of HPACK's dynamic table (RFC 7541 §4.2): the default of HTTP/2.
pub const HEADER_TABLE_SIZE: u32 = 4096;

/// A builder of connections to an upstream, whose heads have at most the size `max_head`, counted as
/// [`MAX_HEAD`] is. Until the upstream's settings have arrived, no stream may be opened.
pub fn client_builder(max_head: u32) -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .header_table_size(HEADER_TABLE_SIZE)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        .reset_stream_duration(RESET_MEMORY)
        .max_header_list_size(max_head)
        .enable_push(false)
        .initial_max_send_streams(0);
    builder
}
