//! How much the peer may send, on a stream or on the connection (RFC 9113 §5.2).

use crate::proto::http2::frame::window_size;

/// A window for what comes.
#[derive(Default)]
pub(super) struct ReceiveWindow {
    size: usize,
    left: i64,
    /// What was read, and is not acknowledged yet.
    unacknowledged: usize,
}

impl ReceiveWindow {
    /// A window of this size.
    pub(super) fn new(size: u32) -> Self {
        Self { size: size as usize, left: i64::from(size), unacknowledged: 0 }
    }

    /// The size of the window, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Takes what has come; returns whether it was within the window.
    pub(super) fn take(&mut self, length: usize) -> bool {
        self.left -= window_size(length);
        self.left >= 0
    }

    /// Notes that this much was read. Returns by how much the window is opened: not before half of it was read.
    pub(super) fn acknowledge(&mut self, length: usize) -> Option<usize> {
        self.unacknowledged += length;
        if self.unacknowledged == 0 || self.unacknowledged < self.size / 2 {
            return None;
        }
        let increment = std::mem::take(&mut self.unacknowledged);
        self.left += window_size(increment);
        Some(increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_is_opened_when_half_of_it_was_read() {
        let mut window = ReceiveWindow::new(100);
        assert!(window.take(60));
        assert_eq!(
            [window.acknowledge(49), window.acknowledge(0), window.acknowledge(11)],
            [None, None, Some(60)]
        );
        assert!(window.take(100) && !window.take(1));
    }
}
