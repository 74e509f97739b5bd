//! What the caller has said that it accepts (RFC 9113 §6.5.2).

use crate::proto::http2::frame::DEFAULT_WINDOW;

/// The settings of the caller.
pub(super) struct Peer {
    /// The window of a new stream.
    pub(super) initial_window: i64,
    /// The size of the largest frame.
    pub(super) max_frame: usize,
    /// Whether the next field block has to say that the dynamic table is empty, because the caller has made it smaller.
    pub(super) is_table_update_due: bool,
}

impl Default for Peer {
    /// What holds before anything is said.
    fn default() -> Self {
        Self { initial_window: i64::from(DEFAULT_WINDOW), max_frame: 16 * 1024, is_table_update_due: false }
    }
}
