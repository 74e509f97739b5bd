//! Floods of frames that have no content and cost an answer or a look: PING, SETTINGS, empty DATA and others (RFC 9113 §10.5,
//! CVE-2019-9512, CVE-2019-9515, CVE-2019-9518). From a peer that does not read the answers nothing more is read. A
//! peer that reads them could send without end, and other connections of the worker would wait.

use std::time::Duration;

use tokio::time::Instant;

use crate::proto::http2::frame::{FrameHeader, flag, kind};

/// Number of frames without content that are accepted in [`WINDOW`]. Peers that measure the connection send a ping for each round trip
/// while they receive (grpc-go does), which are some thousands a second on loopback.
pub(super) const MAX_FRAMES: u32 = 20_000;
/// The time in which they are counted. It starts again with the frame that reaches the limit.
const WINDOW: Duration = Duration::from_secs(1);
/// Number of frames without content in a row after which other connections come first.
const LONG_ROW: u32 = 100;

/// Counts frames without content.
pub(super) struct FloodGuard {
    count: u32,
    /// When the first of them came.
    since: Instant,
    /// Number of them since the last frame with content.
    in_a_row: u32,
}

impl Default for FloodGuard {
    fn default() -> Self {
        Self { count: 0, since: Instant::now(), in_a_row: 0 }
    }
}

impl FloodGuard {
    /// Whether a frame makes a flood. The clock is read once in so many frames.
    pub(super) fn is_flood(&mut self, frame: FrameHeader) -> bool {
        // What ends a stream is once for each. Updates of windows are many where a peer reads much.
        let has_content = match frame.kind {
            kind::HEADERS | kind::CONTINUATION | kind::RST_STREAM | kind::WINDOW_UPDATE => true,
            kind::DATA => frame.length > 0 || frame.has(flag::END_STREAM),
            _ => false,
        };
        if has_content {
            self.in_a_row = 0;
            return false;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.count += 1;
        if self.count < MAX_FRAMES {
            return false;
        }
        let is_flood = self.since.elapsed() < WINDOW;
        (self.count, self.since) = (0, Instant::now());
        is_flood
    }

    /// Whether nothing but frames without content came for a while.
    pub(super) fn is_in_long_row(&self) -> bool {
        self.in_a_row >= LONG_ROW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> FrameHeader {
        FrameHeader { length, kind, flags, stream: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn flood_is_many_frames_without_content_in_a_short_time() {
        let mut guard = FloodGuard::default();
        assert!(!(0..10 * MAX_FRAMES).any(|_| guard.is_flood(frame(kind::DATA, flag::END_STREAM, 0))));
        let mut floods =
            |kind, length, count: u32| (0..count).any(|_| guard.is_flood(frame(kind, 0, length)));
        for kind in [kind::HEADERS, kind::CONTINUATION, kind::RST_STREAM, kind::WINDOW_UPDATE, kind::DATA] {
            assert!(!floods(kind, 1, 10 * MAX_FRAMES), "{kind}");
        }
        assert!(!floods(kind::PING, 8, MAX_FRAMES - 1));
        assert!(floods(kind::PING, 8, 1));
        assert!(floods(kind::DATA, 0, MAX_FRAMES) && floods(0xff, 9, MAX_FRAMES));
        let headers = frame(kind::HEADERS, 0, 1);
        assert!(guard.is_in_long_row() && !guard.is_flood(headers) && !guard.is_in_long_row());
        let mut floods =
            |kind, length, count: u32| (0..count).any(|_| guard.is_flood(frame(kind, 0, length)));
        // As many, in more time.
        for _ in 0..10 {
            assert!(!floods(kind::PING, 8, MAX_FRAMES - 1));
            tokio::time::sleep(WINDOW).await;
            assert!(!floods(kind::PING, 8, 1));
        }
    }
}
