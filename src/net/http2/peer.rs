//! What the peer has said that it accepts (RFC 9113 §6.5.2).

use crate::proto::http2::frame::DEFAULT_WINDOW;

/// The settings of the peer.
pub(super) struct Peer {
    /// The window of a new stream.
    pub(super) initial_window: i64,
    /// The size of the largest frame.
    pub(super) max_frame: usize,
    /// Whether the next field block has to say that the dynamic table is empty, because the peer has made it smaller.
    pub(super) is_table_update_due: bool,
    /// Number of streams that may be opened to it at a time.
    pub(super) max_streams: usize,
    /// Whether its settings have come.
    pub(super) has_settings: bool,
    /// Whether it has said that no further streams should be opened (RFC 9113 §6.8).
    pub(super) is_going_away: bool,
}

impl Default for Peer {
    /// What holds before anything is said.
    fn default() -> Self {
        Self {
            initial_window: i64::from(DEFAULT_WINDOW),
            max_frame: 16 * 1024,
            is_table_update_due: false,
            max_streams: usize::MAX,
            has_settings: false,
            is_going_away: false,
        }
    }
}
