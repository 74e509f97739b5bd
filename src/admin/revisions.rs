//! Which services have changed since a client last asked, so that a page with hundreds of services is sent what is new alone.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::Value;

use super::view::{Changes, ServiceView};

/// The revision of each service: a number that grows with each change that is seen.
pub(super) struct Revisions {
    /// Tells the revisions of this process from those of another one.
    process: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    last: u64,
    /// The names in their order, and the revision at which they were last changed.
    names: Vec<String>,
    names_changed: u64,
    /// Fingerprint of what is shown of a service, and the revision at which it was last changed.
    services: HashMap<String, (u64, u64)>,
}

impl Revisions {
    pub(super) fn new(started: SystemTime) -> Self {
        let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { process: format!("{:x}", since.as_nanos()), known: Mutex::default() }
    }

    /// The services that have changed since the client got this revision; all of them if it has none of this process, or if
    /// services were added, removed or moved.
    pub(super) fn since(&self, revision: Option<&str>, services: Vec<ServiceView>) -> Changes {
        let mut known = self.known.lock();
        known.update(&services);
        let since = revision.and_then(|revision| {
            let (process, number) = revision.split_once('-')?;
            number.parse::<u64>().ok().filter(|_| process == self.process)
        });
        let revision = format!("{}-{}", self.process, known.last);
        match since.filter(|since| known.names_changed <= *since && *since <= known.last) {
            None => Changes { revision, is_complete: true, services },
            Some(since) => {
                let is_new = |service: &ServiceView| known.services[&service.name].1 > since;
                Changes {
                    revision,
                    is_complete: false,
                    services: services.into_iter().filter(is_new).collect(),
                }
            }
        }
    }
}

impl Known {
    fn update(&mut self, services: &[ServiceView]) {
        let next = self.last + 1;
        if !self.names.iter().eq(services.iter().map(|service| &service.name)) {
            self.names = services.iter().map(|service| service.name.clone()).collect();
            let names: HashSet<_> = self.names.iter().collect();
            self.services.retain(|name, _| names.contains(name));
            (self.last, self.names_changed) = (next, next);
        }
        for service in services {
            let fingerprint = fingerprint(service);
            let entry = self.services.entry(service.name.clone()).or_insert((!fingerprint, 0));
            if entry.0 != fingerprint {
                *entry = (fingerprint, next);
                self.last = next;
            }
        }
    }
}

fn fingerprint(service: &ServiceView) -> u64 {
    let mut shown = serde_json::to_value(service).unwrap_or_default();
    // It is counted from now, and differs by a millisecond each time. Whatever moves it changes other fields as well.
    if let Some(next) = shown.pointer_mut("/token/next_refresh") {
        *next = Value::Null;
    }
    let mut hasher = DefaultHasher::new();
    shown.to_string().hash(&mut hasher);
    hasher.finish()
}
