//! The limit on connections. Above it, the connection that has waited longest for its peer is closed, so that
//! a new one, such as a probe's, is served however many others are held open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::phase::Entry;
use crate::net::deadline::{AtomicDeadline, Tick};

/// Interval between two warnings that the limit is reached.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The open connections of a server.
pub(super) struct Slots {
    server: &'static str,
    limit: usize,
    open: Mutex<Open>,
    /// Notified when a connection has ended.
    freed: Notify,
    /// When the next warning that the limit is reached may be logged.
    next_warning: AtomicDeadline,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: BTreeMap<u64, Arc<Entry>>,
}

/// The place of one connection, until it is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
    entry: Arc<Entry>,
}

impl Slots {
    /// Places for `limit` connections to a server.
    pub(super) fn new(server: &'static str, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            server,
            limit: limit.max(1),
            open: Mutex::default(),
            freed: Notify::new(),
            next_warning: AtomicDeadline::off(),
        })
    }

    /// A place for a new connection, once another one is closed if need be; `None` if every other one is
    /// being answered. There is one accept loop, so one task waits here.
    pub(super) async fn acquire(self: &Arc<Self>) -> Option<Slot> {
        loop {
            if let Some(slot) = self.try_acquire() {
                return Some(slot);
            }
            if !self.close_longest_waiting() {
                return None;
            }
            self.freed.notified().await;
        }
    }

    fn try_acquire(self: &Arc<Self>) -> Option<Slot> {
        let mut open = self.open.lock();
        if open.connections.len() >= self.limit {
            return None;
        }
        let (number, entry) = (open.next, Arc::new(Entry::new()));
        open.next += 1;
        open.connections.insert(number, entry.clone());
        Some(Slot { slots: self.clone(), number, entry })
    }

    /// Closes one connection; `false` if none can be closed.
    fn close_longest_waiting(&self) -> bool {
        let open = self.open.lock();
        if self.next_warning.try_restart(Tick::now(), WARNING_INTERVAL) {
            tracing::warn!(
                listener.kind = self.server,
                connections.limit = self.limit,
                "too many connections: those that have waited longest are closed"
            );
        }
        if open.connections.values().any(|entry| entry.is_closing()) {
            return true;
        }
        let waiting = open.connections.values().filter_map(|entry| Some((entry.waiting_since()?, entry)));
        match waiting.min_by_key(|(since, _)| *since) {
            Some((_, entry)) => {
                entry.close();
                true
            }
            None => false,
        }
    }
}

impl Slot {
    /// The state of the connection.
    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.open.lock().connections.remove(&self.number);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn longest_waiting_connection_makes_place() {
        let slots = Slots::new("admin", 2);
        let first = slots.acquire().await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = slots.acquire().await.unwrap();
        // The first one is served, and then waits again: it has waited less than the second one.
        tokio::time::advance(Duration::from_secs(1)).await;
        first.entry().answering();
        first.entry().idle();
        let closing = second.entry().clone();
        let end = tokio::spawn(async move {
            second.entry().closed().await;
            drop(second);
        });
        assert!(slots.acquire().await.is_some());
        end.await.unwrap();
        assert!(closing.is_closing() && !first.entry().is_closing());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_are_answered_are_not_closed() {
        let slots = Slots::new("admin", 1);
        let only = slots.acquire().await.unwrap();
        only.entry().answering();
        assert!(slots.acquire().await.is_none());
        drop(only);
        assert!(slots.acquire().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn next_request_has_its_own_deadline() {
        let second = Duration::from_secs(1);
        let limits = super::super::ServerLimits {
            server: "admin",
            connections: 1,
            head_bytes: 8192,
            body_bytes: 0,
            request_time: 10 * second,
            idle_time: 60 * second,
        };
        let (entry, start) = (Entry::new(), Instant::now());
        assert_eq!(entry.deadline(&limits), Some(start + 10 * second));
        tokio::time::advance(second).await;
        entry.received();
        assert_eq!(entry.deadline(&limits), Some(start + 10 * second), "the time is not prolonged");
        entry.answering();
        assert_eq!(entry.deadline(&limits), None);
        entry.idle();
        assert_eq!(entry.deadline(&limits), Some(start + 61 * second));
        tokio::time::advance(second).await;
        entry.received();
        assert_eq!(entry.deadline(&limits), Some(start + 12 * second));
    }
}
