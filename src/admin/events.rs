//! What happened to each service in the last hours: when it failed, was refused, recovered, was reloaded, or got another credential.
//!
//! A task on the control thread compares the states every few seconds, so that requests do no work for it. The number of events of a
//! service is limited, and one that lasts or repeats is one event.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use super::status::{ServiceStatus, Severity};
use crate::runtime::service::Service;

/// The time between two comparisons.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// The number of events that are kept of a service.
const MAX_EVENTS: usize = 20;

/// The kind of an event:
///
/// - `failed`: requests failed, or will fail soon.
/// - `refused`: the token endpoint or the upstream refused the credential.
/// - `recovered`: the service works again.
/// - `rotated`: the settings of its credential, secrets included, have changed.
/// - `reloaded`: other settings of the service have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventKind {
    Failed,
    Refused,
    Recovered,
    Rotated,
    Reloaded,
}

/// A change of a service, which may have happened several times.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) kind: EventKind,
    pub(super) message: String,
    pub(super) first: SystemTime,
    pub(super) last: SystemTime,
    /// How often the event happened.
    pub(super) count: u64,
}

/// A service at one comparison.
pub(super) struct Observed {
    pub(super) service: Arc<Service>,
    pub(super) state: ServiceStatus,
    pub(super) severity: Severity,
    /// The state in plain words.
    pub(super) summary: String,
}

/// The state of a service at one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    state: ServiceStatus,
    is_bad: bool,
}

/// The events of one service.
#[derive(Default)]
struct Log {
    seen: Option<Seen>,
    service: Option<Arc<Service>>,
    events: VecDeque<Event>,
}

/// The events of all services, by name.
#[derive(Default)]
pub(super) struct Events(Mutex<HashMap<String, Log>>);

impl Events {
    /// The events of a service, newest first.
    pub(super) fn of(&self, service: &str) -> Vec<Event> {
        self.0.lock().get(service).map(|log| log.events.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// Compares each service with what it was.
    pub(super) fn compare(&self, services: &[Observed], now: SystemTime) {
        let mut logs = self.0.lock();
        let names: HashSet<_> = services.iter().map(|one| &one.service.name).collect();
        logs.retain(|name, _| names.contains(name));
        for Observed { service, state, severity, summary } in services {
            let is_bad = matches!(severity, Severity::Error | Severity::Warning);
            let log = logs.entry(service.name.clone()).or_default();
            log.change(service, now);
            log.observe(Seen { state: *state, is_bad }, summary, now);
        }
    }
}

impl Log {
    /// Records that a reload has changed the service.
    fn change(&mut self, service: &Arc<Service>, now: SystemTime) {
        let old = self.service.replace(service.clone());
        let Some(old) = old.filter(|old| !Arc::ptr_eq(old, service)) else { return };
        if old.auth == service.auth {
            self.add(EventKind::Reloaded, "The settings of the service have changed.", now);
        } else {
            self.add(EventKind::Rotated, "The credential has changed.", now);
        }
    }

    /// Records the state, if it is another one or still bad.
    fn observe(&mut self, seen: Seen, summary: &str, now: SystemTime) {
        let before = self.seen.replace(seen);
        let kind = match seen.state {
            ServiceStatus::Refused | ServiceStatus::LoginRequired | ServiceStatus::Unauthorized => {
                EventKind::Refused
            }
            _ => EventKind::Failed,
        };
        if seen.is_bad && before == Some(seen) {
            // It lasts.
            if let Some(event) = self.events.iter_mut().rev().find(|event| event.kind == kind) {
                summary.clone_into(&mut event.message);
                event.last = now;
            }
        } else if seen.is_bad {
            self.add(kind, summary, now);
        } else if before.is_some_and(|before| before.is_bad) && seen.state == ServiceStatus::Ready {
            self.add(EventKind::Recovered, "The service works again.", now);
        }
    }

    /// Adds an event. One that has the kind and the message of the newest or of the one before it is counted with that one, so that
    /// a service that fails and recovers every minute has two events.
    fn add(&mut self, kind: EventKind, message: &str, now: SystemTime) {
        let same = |event: &&mut Event| event.kind == kind && event.message == message;
        if let Some(event) = self.events.iter_mut().rev().take(2).find(same) {
            event.last = now;
            event.count += 1;
            return;
        }
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event { kind, message: message.to_owned(), first: now, last: now, count: 1 });
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn events_that_last_or_repeat_are_one() {
        let mut log = Log::default();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let ready = Seen { state: ServiceStatus::Ready, is_bad: false };
        let bad = Seen { state: ServiceStatus::Unreachable, is_bad: true };
        log.observe(ready, "", at(0));
        assert!(log.events.is_empty(), "a service that is well has no event");
        for second in [5, 10, 15] {
            log.observe(bad, "refused", at(second));
        }
        log.observe(ready, "", at(20));
        log.observe(bad, "refused", at(25));
        log.observe(ready, "", at(30));
        let events: Vec<_> =
            log.events.iter().map(|event| (event.kind, event.first, event.last, event.count)).collect();
        assert_eq!(
            events,
            [(EventKind::Failed, at(5), at(25), 2), (EventKind::Recovered, at(20), at(30), 2)]
        );
    }

    #[test]
    fn events_are_limited() {
        let mut log = Log::default();
        for number in 0..100_u64 {
            log.add(EventKind::Failed, &number.to_string(), UNIX_EPOCH);
        }
        assert_eq!(log.events.len(), MAX_EVENTS);
        assert_eq!(log.events.back().unwrap().message, "99");
    }
}
