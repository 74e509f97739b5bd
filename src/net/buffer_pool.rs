//! The memory of read buffers that are not in use; each worker thread has its own.
//!
//! What is freed is wiped first, all of it (`main.rs`). For a buffer that was hardly used, the kernel has to provide memory
//! before that: four thousand streams that end at once took 300 MiB for a second. So a worker keeps what its requests
//! return, and [`trim`] frees little by little what no request has needed since.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

/// Capacity of a buffer: a whole small message, or a large part of a big one. It is above a power of two,
/// because content that is sent in pieces of a power of two comes after a head.
pub(super) const READ_SIZE: usize = 33 * 1024;
/// Number of buffers that a thread keeps for good.
const KEPT: usize = 16;
/// Number of buffers that are freed at once at most: 1 MiB.
const FREED_AT_ONCE: usize = 32;
/// Time between two looks at what is unused.
const TRIM_INTERVAL: Duration = Duration::from_millis(100);

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::new()) };
}

/// Buffers that are not in use. The last one that was returned is the next one that is taken, because a cache has it.
struct Pool {
    buffers: Vec<Vec<u8>>,
    /// The smallest number of buffers since the last trim. No request has needed these.
    unused: usize,
    /// Tells [`trim`] that there are more than [`KEPT`]. `None` if it does not run on this thread.
    trimmer: Option<Rc<Notify>>,
}

impl Pool {
    const fn new() -> Self {
        Self { buffers: Vec::new(), unused: 0, trimmer: None }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop();
        self.unused = self.unused.min(self.buffers.len());
        buffer
    }

    fn put(&mut self, buffer: Vec<u8>) {
        if self.buffers.len() >= KEPT {
            let Some(trimmer) = &self.trimmer else { return };
            if self.buffers.len() == KEPT {
                trimmer.notify_one();
            }
        }
        self.buffers.push(buffer);
    }

    /// Frees some of the buffers that were not needed since the last call, those first that were returned first. Returns
    /// whether more than [`KEPT`] are left.
    fn trim(&mut self) -> bool {
        let too_many = self.unused.saturating_sub(KEPT).min(FREED_AT_ONCE);
        self.buffers.drain(..too_many);
        self.unused = self.buffers.len();
        let is_crowded = self.buffers.len() > KEPT;
        if !is_crowded {
            self.buffers.shrink_to(KEPT);
        }
        is_crowded
    }
}

/// Takes empty memory of [`READ_SIZE`] or more from the thread's pool, or allocates it.
pub(super) fn take() -> Vec<u8> {
    POOL.with_borrow_mut(Pool::take).unwrap_or_else(|| Vec::with_capacity(READ_SIZE))
}

/// Returns memory to the thread's pool. Memory that grew too large is freed, and so is memory that is too small: the requests that
/// get it would read in as many small parts.
pub(super) fn put(mut memory: Vec<u8>) {
    memory.clear();
    if !(READ_SIZE..=2 * READ_SIZE).contains(&memory.capacity()) {
        return;
    }
    // While a thread ends, its pool may not exist any more.
    let _ = POOL.try_with(|pool| pool.borrow_mut().put(memory));
}

/// Frees what this thread's requests do not need any more. Never returns.
pub(crate) async fn trim() {
    let crowded = Rc::new(Notify::new());
    POOL.with_borrow_mut(|pool| pool.trimmer = Some(crowded.clone()));
    loop {
        crowded.notified().await;
        while POOL.with_borrow_mut(Pool::trim) {
            tokio::time::sleep(TRIM_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled() -> usize {
        POOL.with_borrow(|pool| pool.buffers.len())
    }

    fn return_buffers(count: usize) {
        let taken: Vec<_> = (0..count).map(|_| take()).collect();
        taken.into_iter().for_each(put);
    }

    #[test]
    fn memory_that_is_too_large_or_too_small_is_not_pooled() {
        for size in [0, READ_SIZE - 1, 2 * READ_SIZE + 1] {
            put(Vec::with_capacity(size));
        }
        assert_eq!(pooled(), 0);
        put(Vec::with_capacity(READ_SIZE));
        put(Vec::with_capacity(2 * READ_SIZE));
        assert_eq!(pooled(), 2);
    }

    #[test]
    fn thread_without_trimming_keeps_few_buffers() {
        return_buffers(10 * KEPT);
        assert_eq!(pooled(), KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn unused_buffers_are_freed_little_by_little() {
        let trimming = trim();
        tokio::pin!(trimming);
        let mut wait = async |time| tokio::time::timeout(time, &mut trimming).await.is_err();
        assert!(wait(Duration::ZERO).await);
        return_buffers(KEPT + 10 * FREED_AT_ONCE);
        let mut counts = Vec::new();
        while pooled() > KEPT {
            counts.push(pooled());
            assert!(wait(TRIM_INTERVAL).await);
        }
        // The first look finds that all were needed just now.
        let expected: Vec<_> = (1..=10).rev().map(|left| KEPT + left * FREED_AT_ONCE).collect();
        assert_eq!(counts, expected);
        assert_eq!(pooled(), KEPT);
        assert!(wait(10 * TRIM_INTERVAL).await && pooled() == KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn buffers_that_are_needed_again_and_again_are_kept() {
        let trimming = trim();
        tokio::pin!(trimming);
        let mut wait = async |time| tokio::time::timeout(time, &mut trimming).await.is_err();
        assert!(wait(Duration::ZERO).await);
        for _ in 0..20 {
            return_buffers(8 * KEPT);
            assert!(wait(TRIM_INTERVAL / 2).await);
            assert_eq!(pooled(), 8 * KEPT);
        }
    }
}
