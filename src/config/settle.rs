//! Which services run: those without a mistake, and of the others those that ran before, with their previous settings.
//!
//! No service takes a name, a host or an address that an earlier one has, nor one that a running service keeps.

use std::collections::HashMap;

use super::inactive::{Effect, InactiveReason, InactiveService, LastGood, Problem, Subject};
use super::listen::address::ClaimedBy;
use super::reader::error::Diagnostic;
use super::reader::report::Report;
use super::reader::value::Value;
use super::service::claimed::Claimed;
use super::service::claims::Claims;
use super::service::entry;
use super::service::entry::{Entry, Origin, ServiceConfig, Shared};

/// The services of one file.
pub(super) struct FileServices<'a> {
    /// The name of the file in messages.
    pub(super) name: &'a str,
    /// Its services, or why it cannot be read.
    pub(super) services: Result<Vec<(&'a str, Value<'a>)>, Vec<Diagnostic>>,
    /// Errors outside of its services, which hold all of them back.
    pub(super) errors: Vec<Diagnostic>,
    /// Errors about which services it has.
    pub(super) entry_errors: Vec<Diagnostic>,
}

/// What follows from all files.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) services: Vec<ServiceConfig>,
    pub(super) inactive: Vec<InactiveService>,
    pub(super) problems: Vec<Problem>,
}

impl Settled {
    /// The names of all services.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let inactive = self.inactive.iter().map(|service| service.name.as_str());
        self.services.iter().map(|service| service.name.as_str()).chain(inactive)
    }
}

/// A service in the order of the files.
enum Slot {
    /// It was read.
    Read(Box<Candidate>),
    /// Its file cannot be read, and it runs.
    Kept(Box<ServiceConfig>),
    /// Its file cannot be read, and it does not run.
    KeptInactive(Box<InactiveService>),
}

/// The services that run, by name.
type Running<'l> = HashMap<&'l str, &'l ServiceConfig>;

struct Candidate {
    name: String,
    origin: Origin,
    entry: Entry,
    errors: Vec<Diagnostic>,
    /// Whether it is sure to run with its previous settings.
    is_kept: bool,
}

/// Reads every service, and decides which of them run. `claimed` has the addresses of the top level.
pub(super) fn settle(
    files: Vec<FileServices<'_>>,
    shared: &mut Shared<'_>,
    mut claimed: Claimed,
    last_good: &LastGood,
    report: &Report<'_>,
) -> Settled {
    let mut settled = Settled::default();
    let running = last_good.by_name();
    let mut slots = slots(files, shared, last_good, report, &mut settled.problems);
    // What runs keeps its hosts and addresses, wherever it stands.
    for slot in &mut slots {
        match slot {
            Slot::Kept(service) => {
                claimed.claim_running(service);
            }
            Slot::Read(candidate) => {
                let previous = candidate.previous(&running);
                candidate.is_kept = !candidate.errors.is_empty()
                    && previous.is_some_and(|previous| claimed.claim_running(previous));
            }
            Slot::KeptInactive(_) => {}
        }
    }
    for slot in slots {
        match slot {
            Slot::Read(candidate) => settled.add(*candidate, &mut claimed, &running, report),
            Slot::Kept(service) => settled.services.push(*service),
            Slot::KeptInactive(service) => {
                settled.inactive.push(InactiveService { position: settled.services.len(), ..*service });
            }
        }
    }
    settled
}

/// Reads every service. Errors that belong to no service are added to `problems`.
fn slots(
    files: Vec<FileServices<'_>>,
    shared: &mut Shared<'_>,
    last_good: &LastGood,
    report: &Report<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Slot> {
    let is_of = |origin: &Origin, file: &FileServices<'_>| file.services.is_err() && *origin.0 == *file.name;
    let mut names = HashMap::new();
    for file in &files {
        let running = last_good.services.iter().filter(|service| is_of(&service.origin, file));
        names.extend(running.map(|service| (service.name.clone(), ClaimedBy::running(&service.name))));
    }
    let mut slots = Vec::new();
    for file in files {
        let subject = Subject::File(file.name.to_owned());
        let kept = last_good.services.iter().filter(|service| is_of(&service.origin, &file)).cloned();
        let kept: Vec<_> = kept.map(|service| Slot::Kept(Box::new(service))).collect();
        let inactive = last_good.inactive.iter().filter(|service| is_of(&service.origin, &file)).cloned();
        let inactive = inactive.map(|service| Slot::KeptInactive(Box::new(service)));
        let effect = if kept.is_empty() { Effect::HeldBack } else { Effect::PreviousSettings };
        slots.extend(kept.into_iter().chain(inactive));
        let services = match file.services {
            Ok(services) => services,
            Err(errors) => {
                problems.push(Problem { subject, effect, errors });
                continue;
            }
        };
        let mut of_file = file.entry_errors;
        of_file.extend(file.errors.iter().cloned());
        for (name, value) in services {
            let (is_new, errors) = report.collect(|| is_new(name, &value, &mut names, report));
            of_file.extend(errors);
            if !is_new {
                continue;
            }
            let (entry, errors) = report.collect_entry(&value.spot(), || entry::read(name, &value, shared));
            let errors = file.errors.iter().cloned().chain(errors).collect();
            let (name, origin) = (name.to_owned(), Origin(file.name.into()));
            slots.push(Slot::Read(Box::new(Candidate { name, origin, entry, errors, is_kept: false })));
        }
        if !of_file.is_empty() {
            problems.push(Problem { subject, effect: Effect::HeldBack, errors: of_file });
        }
    }
    slots
}

/// Whether a name is one, and no earlier service has it.
fn is_new(
    name: &str,
    value: &Value<'_>,
    names: &mut HashMap<String, ClaimedBy>,
    report: &Report<'_>,
) -> bool {
    if !entry::check_name(name, value) {
        return false;
    }
    if let Some(other) = names.get(name) {
        let other = other.name(report, &value.spot());
        value.error(format!("the same name as {other}, which is used; a service is defined once"));
        return false;
    }
    names.insert(name.to_owned(), ClaimedBy::Value(value.spot()));
    true
}

impl Candidate {
    /// The settings with which it runs, if it may go on with them.
    fn previous<'l>(&self, running: &Running<'l>) -> Option<&'l ServiceConfig> {
        running.get(self.name.as_str()).copied().filter(|_| self.entry.is_enabled)
    }
}

impl Settled {
    fn add(
        &mut self,
        candidate: Candidate,
        claimed: &mut Claimed,
        running: &Running<'_>,
        report: &Report<'_>,
    ) {
        let previous = candidate.previous(running).cloned();
        let Candidate { name, origin, mut entry, mut errors, mut is_kept } = candidate;
        if !is_kept {
            let ((), conflicts) = report.collect(|| claimed.check(&entry.claims, report));
            is_kept = !conflicts.is_empty()
                && previous.as_ref().is_some_and(|previous| claimed.claim_running(previous));
            errors.extend(conflicts);
        }
        let problem = |effect, errors| Problem { subject: Subject::Service(name.clone()), effect, errors };
        if let Some(previous) = previous.filter(|_| is_kept) {
            self.services.push(previous);
            self.problems.push(problem(Effect::PreviousSettings, errors));
            return;
        }
        claimed.retain_free(&mut entry.place);
        claimed.add(entry.claims);
        let reason = match (entry.service, entry.is_enabled) {
            (Some(service), true) if errors.is_empty() => {
                self.services.push(service);
                return;
            }
            (_, true) if !errors.is_empty() && errors.iter().all(|error| error.is_passing) => {
                InactiveReason::AwaitsStore
            }
            (_, true) => InactiveReason::Misconfigured,
            (_, false) => InactiveReason::Disabled,
        };
        if !errors.is_empty() {
            self.problems.push(problem(Effect::HeldBack, errors));
        }
        let Entry { kind, place, readiness, labels, .. } =
            Entry { service: None, claims: Claims::default(), ..entry };
        let position = self.services.len();
        self.inactive.push(InactiveService {
            name,
            reason,
            kind,
            place,
            readiness,
            labels,
            position,
            origin,
        });
    }
}
