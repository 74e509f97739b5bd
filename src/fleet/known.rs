//! What a value is, and what a process knows of it.

use std::time::Duration;

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
}
