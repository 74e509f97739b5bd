//! A failure that a fleet shares: what one process was answered, the others do not ask again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keys::{FleetKeys, Place};
use super::names::Names;
use super::store::View;
use crate::refresh::schedule::{Failure, retry_in};
use crate::refresh::{ErrorCode, SourceError, SourceErrorKind};

/// The part of a place that is a failure.
const PART: &str = "failure";

/// How much longer than it counts a failure is kept, so that the next one is known to follow it.
const KEEP: Duration = Duration::from_secs(300);

/// Longest message.
const MAX_MESSAGE: usize = 1000;

/// The failure of the last request for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SharedFailure {
    /// What was answered.
    pub(super) error: SourceError,
    /// Until when nobody asks again, in milliseconds of the store's clock.
    until: u64,
    /// Number of consecutive failures.
    count: u32,
}

#[derive(Serialize, Deserialize)]
struct Written {
    kind: String,
    message: String,
    code: Option<String>,
    status: Option<u16>,
    until: u64,
    count: u32,
}

impl SharedFailure {
    /// A failure after the one before. It counts as long as the schedule says: at least `Retry-After`, at most a limit.
    pub(super) fn after(
        before: Option<&Self>,
        mut error: SourceError,
        view: &View,
        lifetime: Option<Duration>,
        remaining: Option<Duration>,
    ) -> Self {
        let count = before.map_or(0, |before| before.count).saturating_add(1);
        let refused = error.kind.needs_intervention();
        let failure = Failure { count, refused, retry_after: error.retry_after, lifetime, remaining };
        let wait = retry_in(failure, fastrand::f64());
        error.retry_after = Some(wait);
        let until = view.now_at_least().saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Self { error, until, count }
    }

    /// How long it still counts.
    pub(super) fn left(&self, now: u64) -> Duration {
        Duration::from_millis(self.until.saturating_sub(now))
    }

    /// How long the store keeps it.
    pub(super) fn keep(&self, now: u64) -> Duration {
        self.left(now) + KEEP
    }

    /// The failure for a process that has not asked: it asks no earlier than the others.
    pub(super) fn to_error(&self, now: u64) -> SourceError {
        SourceError { retry_after: Some(self.left(now)), ..self.error.clone() }
    }

    /// The failure, sealed for each name. It belongs to this generation.
    pub(super) fn seal(&self, keys: &FleetKeys, names: &Names, generation: &str) -> Vec<Vec<u8>> {
        let Self { error, until, count } = self;
        let written = Written {
            kind: error.kind.as_str().into(),
            message: error.message.chars().take(MAX_MESSAGE).collect(),
            code: error.code.as_ref().map(|code| code.as_str().to_owned()),
            status: error.status,
            until: *until,
            count: *count,
        };
        let json = serde_json::to_vec(&written).expect("texts and numbers are JSON");
        let place = |name| Place { part: PART, name, generation };
        names.all().iter().map(|name| keys.seal(&place(name), &json)).collect()
    }

    /// The failure that the store has for its present generation; `None` if there is none that can be read.
    pub(super) fn of(view: &View, keys: &FleetKeys, names: &Names) -> Option<Self> {
        let (name, sealed) = view.failure.as_ref()?;
        let place = Place { part: PART, name: names.all().get(*name)?, generation: view.generation() };
        let json = keys.open(&place, sealed).ok()?;
        let Written { kind, message, code, status, until, count } = serde_json::from_slice(&json).ok()?;
        let error = SourceError {
            kind: SourceErrorKind::named(&kind)?,
            message,
            retry_after: None,
            code: code.map(|code| ErrorCode::read(&code, str::to_owned)),
            status,
        };
        Some(Self { error, until, count })
    }
}
