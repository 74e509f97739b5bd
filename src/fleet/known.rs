//! What a value is, and what a process knows of it.

use std::time::Duration;

use tokio::time::Instant;

use super::record::Record;
use crate::refresh::Expiry;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether a refresh token comes with it that must be spent once, and never be lost.
    pub rotates: bool,
    /// Shortest time between two refreshes of the fleet before their time.
    pub min_interval: Duration,
}

/// The value that a process has.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// As it is in the store, or would be.
    pub(super) record: Record,
    /// When it ends, by the clocks of this process; `None` if it cannot be used.
    pub(super) expiry: Option<Expiry>,
    /// Whether it was obtained without the store, which does not have it.
    pub(super) is_alone: bool,
}

impl Known {
    pub(super) fn is_usable(&self) -> bool {
        self.expiry.is_some_and(|expiry| !expiry.is_past())
    }

    pub(super) fn is_fresh(&self) -> bool {
        let quarter = Duration::from_millis(self.record.lifetime / 4);
        self.expiry.is_some_and(|expiry| expiry.remaining() > quarter)
    }

    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_millis(self.record.lifetime)
    }
}

/// What a process knows of a value. Locked while it is obtained.
#[derive(Default)]
pub(super) struct Local {
    pub(super) known: Option<Known>,
    /// Whether the store could not be told of `known`, which has a refresh token that it must get.
    pub(super) is_unwritten: bool,
    /// When the store was given a record that it had lost: others may have a newer one.
    pub(super) restored: Option<Instant>,
    /// The second copy of `known`.
    pub(super) copy: CopyState,
}

/// The state of a second copy.
#[derive(Default)]
pub(super) struct CopyState {
    pub(super) is_read: bool,
    /// Why it could not be read.
    pub(super) unread: Option<String>,
    /// The write that it has.
    pub(super) saved: Option<String>,
    pub(super) is_failing: bool,
}
