//! What a connection waits for, and how long it may.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::ServerLimits;

/// A connection, as the limit on connections sees it.
pub(super) struct Entry {
    phase: Mutex<Phase>,
    close: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request has begun to arrive, or the first one is expected.
    Receiving(Instant),
    /// A request is complete, and its response is made.
    Answering,
    /// A response was made. It is written, or the next request is expected.
    Idle(Instant),
    /// The limit on connections was reached, and this one is being closed.
    Closing,
}

impl Entry {
    /// A connection that was just accepted.
    pub(super) fn new() -> Self {
        Self { phase: Mutex::new(Phase::Receiving(Instant::now())), close: Notify::new() }
    }

    /// Bytes have arrived.
    pub(super) fn received(&self) {
        let mut phase = self.phase.lock();
        if matches!(*phase, Phase::Idle(_)) {
            *phase = Phase::Receiving(Instant::now());
        }
    }

    /// A request is complete.
    pub(super) fn answering(&self) {
        self.change(Phase::Answering);
    }

    /// A response was made.
    pub(super) fn idle(&self) {
        self.change(Phase::Idle(Instant::now()));
    }

    fn change(&self, next: Phase) {
        let mut phase = self.phase.lock();
        if *phase != Phase::Closing {
            *phase = next;
        }
    }

    /// The time since which the connection waits for its peer; `None` if it does not.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        match *self.phase.lock() {
            Phase::Receiving(since) | Phase::Idle(since) => Some(since),
            Phase::Answering | Phase::Closing => None,
        }
    }

    /// Whether the connection is being closed.
    pub(super) fn is_closing(&self) -> bool {
        *self.phase.lock() == Phase::Closing
    }

    /// The time at which the connection is closed; `None` while its response is made.
    pub(super) fn deadline(&self, limits: &ServerLimits) -> Option<Instant> {
        match *self.phase.lock() {
            Phase::Receiving(since) => Some(since + limits.request_time),
            Phase::Idle(since) => Some(since + limits.idle_time),
            Phase::Answering => None,
            Phase::Closing => Some(Instant::now()),
        }
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        *self.phase.lock() = Phase::Closing;
        self.close.notify_one();
    }

    /// Waits until the connection has to be closed.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }
}
