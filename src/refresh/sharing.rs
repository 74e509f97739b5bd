//! What is known of the processes that share a value.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

/// What a source knows of the fleet that shares its value. Shared by the source and by the store that shows it.
#[derive(Debug, Default)]
pub struct Sharing(Mutex<SharingFacts>);

/// What is known; `None` is what is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharingFacts {
    /// Who obtained the current value.
    pub by: Option<Obtainer>,
    /// Number of processes of the fleet that the shared store has, this one included.
    pub members: Option<u64>,
    /// Since when the shared store cannot be used, if it cannot be used.
    pub down_since: Option<SystemTime>,
    /// How long the request for the current value took, without any wait for others.
    pub request_took: Option<Duration>,
    /// The name of the record in the shared store, shortened.
    pub record: String,
}

/// Who obtained a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obtainer {
    /// This process, for all.
    Own,
    /// Another process of this name, for all.
    Peer(String),
    /// This process, for itself alone: the shared store could not be used.
    Alone,
}

impl Obtainer {
    /// The value of the metric label, and the word on the status page.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Peer(_) => "peer",
            Self::Alone => "alone",
        }
    }
}

impl Sharing {
    /// Changes what is known.
    pub fn update(&self, change: impl FnOnce(&mut SharingFacts)) {
        change(&mut self.0.lock());
    }

    /// What is known.
    pub fn facts(&self) -> SharingFacts {
        self.0.lock().clone()
    }
}
