//! What a store must do, and what it answers.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::names::Names;
use crate::refresh::ClockReading;

/// Why a fleet cannot be joined, although its configuration is valid.
pub type BuildError = Box<dyn Error + Send + Sync>;

/// Why the store could not be used. Nothing in it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// What stands in the store for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// Which of the names it stands under.
    pub(super) name: usize,
    /// The generation, as it stands there.
    pub(super) generation: String,
    /// The sealed record.
    pub(super) sealed: Vec<u8>,
}

/// What the store has under the names of a record, all read at one moment.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// The time of the store, in milliseconds of Unix time. No process's clock decides about anything that is shared.
    pub(super) now: u64,
    /// When the store was asked, by the clocks of this process: before `now`.
    pub(super) asked: ClockReading,
    /// When the store had answered: after `now`.
    pub(super) answered: Instant,
    /// The record of the largest generation.
    pub(super) record: Option<Stored>,
    /// Why the last request failed: the name that it stands under, and the sealed failure.
    pub(super) failure: Option<(usize, Vec<u8>)>,
    /// Who is spending the refresh token of the record, or was when it ended.
    pub(super) spender: Option<String>,
}

impl View {
    /// The generation as it stands in the store; empty if there is none.
    pub(super) fn generation(&self) -> &str {
        self.record.as_ref().map_or("", |stored| &stored.generation)
    }

    /// A time of the store that has certainly come.
    pub(super) fn now_at_least(&self) -> u64 {
        let since = u64::try_from(self.answered.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.saturating_add(since)
    }
}

/// The outcome of an attempt to lock a record. That the store cannot be used is neither of them, but an error.
#[derive(Debug)]
pub(super) enum Locked {
    /// The lock is mine.
    Acquired(View),
    /// It is another's, for this long unless the other renews it.
    Held(Duration),
}

/// The outcome of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// The record is in the store.
    Done,
    /// The store has another generation than was expected, and was not changed.
    Lost(View),
}

/// A record to write.
pub(super) struct Write<'a> {
    /// The nonce of the lock, which ends with the write if it is mine.
    pub(super) nonce: &'a str,
    /// The generation that the store must have; empty: none.
    pub(super) expected: &'a str,
    /// The generation of the record.
    pub(super) generation: &'a str,
    /// The sealed record for each name.
    pub(super) sealed: Vec<Vec<u8>>,
    /// How long the store keeps it; `None`: without an end.
    pub(super) keep: Option<Duration>,
}

/// A store that a fleet shares. Each method is one step that the store makes as a whole, and has a time limit.
#[async_trait]
pub(super) trait SharedStore: Send + Sync {
    /// Reads a record.
    async fn read(&self, names: &Names) -> Result<View, StoreError>;

    /// Locks a record, unless another has it locked. The lock ends by itself after `lease`.
    async fn lock(&self, names: &Names, nonce: &str, lease: Duration) -> Result<Locked, StoreError>;

    /// Renews a lock. If the store has lost it, it is taken again: with `spends`, because a refresh token is being spent, also from
    /// another that does not spend it yet. Returns false if it is another's.
    async fn renew(
        &self,
        names: &Names,
        nonce: &str,
        lease: Duration,
        spends: bool,
    ) -> Result<bool, StoreError>;

    /// Whether the server that this process uses is the one that has the records. False: another one has them now, and is used from
    /// now on. An error: that cannot be known.
    async fn is_current(&self) -> Result<bool, StoreError>;

    /// Records that the refresh token of a record is about to be spent. Returns false if the lock is not mine.
    async fn mark(&self, names: &Names, nonce: &str) -> Result<bool, StoreError>;

    /// Writes a record if the store has the expected generation, ends lock, mark and failure, and tells the others.
    async fn write(&self, names: &Names, write: Write<'_>) -> Result<Written, StoreError>;

    /// Writes a record that this process has, if the store has none or an older one. Returns whether it was written.
    async fn restore(
        &self,
        names: &Names,
        generation: &str,
        sealed: Vec<Vec<u8>>,
        keep: Option<Duration>,
    ) -> Result<bool, StoreError>;

    /// Records a failure while the store has this generation, and ends lock and mark. The store keeps it for `keep`.
    async fn fail(
        &self,
        names: &Names,
        nonce: &str,
        generation: &str,
        sealed: Vec<Vec<u8>>,
        keep: Duration,
    ) -> Result<(), StoreError>;

    /// Asks everybody who has the record for it, because the store has not.
    async fn ask(&self, names: &Names) -> Result<(), StoreError>;

    /// Ends lock and mark, if they are mine.
    async fn release(&self, names: &Names, nonce: &str) -> Result<(), StoreError>;

    /// For how long the store has answered everything that this process asked.
    fn stable_for(&self) -> Duration;
}
