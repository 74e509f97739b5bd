//! Shards of what worker threads share: each worker uses its own shard, so its lock is nearly always free.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of shards; if there are more workers, some share a shard.
pub(super) const SHARDS: usize = 16;

/// The shard of the current thread.
pub(super) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
    }
    OWN.with(Cell::get)
}
