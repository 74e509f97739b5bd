//! Keeps what polled sources gave, so that reading the configuration fetches none of them, and refreshes it in
//! time.

mod connections;
mod kept;
mod of_files;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use self::connections::StoreConnection;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::connections::Connections;
use self::kept::{Kept, RETRY_INTERVAL};
use self::of_files::OfFiles;
use super::{Fetched, Lease, Renewal, SecretText, Source, SourceError, Stamp, WatchHint};

/// The last value of every source that is polled.
#[derive(Default)]
pub struct SecretCache {
    entries: Mutex<HashMap<Source, CacheEntry>>,
    /// What files gave, for as long as their stamps stay the same.
    of_files: OfFiles,
    connections: Connections,
    placeholders: Placeholders,
    draft: Option<Draft>,
    is_closed: AtomicBool,
}

/// What a cache for a configuration that is not in use has beside its own entries.
struct Draft {
    running: Arc<SecretCache>,
    /// The content of files that do not exist yet.
    typed: HashMap<PathBuf, SecretText>,
}

/// Which sources give a placeholder.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Placeholders {
    #[default]
    None,
    /// Those that are polled, and those that give nothing.
    OfMissing,
    All,
}

#[derive(Default)]
struct CacheEntry {
    /// `None` if the source was only checked, or has given nothing yet.
    kept: Option<Kept>,
    /// Why it has given nothing yet, if its server does not answer.
    missing: Option<Missing>,
    /// The parts of it that are used, if it is a document.
    parts: HashSet<Source>,
    /// The paths in the configuration at which it is used.
    places: BTreeSet<String>,
    /// Whether it was used since the last [`SecretCache::mark_unused`].
    used: bool,
    /// Whether it was found to give a secret.
    is_checked: bool,
}

/// A source that has given nothing yet.
struct Missing {
    error: SourceError,
    failures: u32,
    due: Instant,
}

impl Missing {
    fn after(previous: Option<&Self>, error: SourceError) -> Self {
        let failures = previous.map_or(0, |missing| missing.failures);
        // From one second to a quarter of a minute, and half of that by chance.
        let wait = RETRY_INTERVAL.min(Duration::from_secs(1 << failures.min(8)));
        let due = Instant::now() + wait.mul_f64(1.0 - fastrand::f64() / 2.0);
        Self { error, failures: failures + 1, due }
    }
}

/// The outcome of a refresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefreshOutcome {
    /// Whether a value changed.
    pub changed: bool,
    /// Whether a source failed; its previous value stays in use.
    pub failed: bool,
}

/// A secret that stays in use because its source fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleSecret {
    /// The source, as the log has it.
    pub source: String,
    /// The paths in the configuration at which it is used.
    pub places: Vec<String>,
    /// When the source failed first.
    pub since: SystemTime,
    /// Why; no secret.
    pub error: String,
}

/// A secret that every format accepts: hexadecimal digits, which are Base64 as well.
const PLACEHOLDER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl SecretCache {
    /// A cache that fetches nothing: every source gives a placeholder. For checking a configuration where its secrets are
    /// not.
    pub fn with_placeholders() -> Self {
        Self::new(Placeholders::All, None)
    }

    /// A cache that gives a placeholder for every source that gives nothing here, and runs no command. For a program that uses
    /// few of the secrets.
    pub fn lenient() -> Self {
        Self::new(Placeholders::OfMissing, None)
    }

    /// A cache for reading a configuration as it would be. `typed` has the content of files that do not exist yet. What is polled is
    /// not fetched if `running` has it, and `running` is not changed.
    pub fn for_draft(running: Arc<Self>, typed: HashMap<PathBuf, SecretText>) -> Self {
        Self::new(Placeholders::None, Some(Draft { running, typed }))
    }

    fn new(placeholders: Placeholders, draft: Option<Draft>) -> Self {
        let (entries, connections, is_closed) =
            (Mutex::default(), Connections::default(), AtomicBool::new(false));
        Self { entries, of_files: OfFiles::default(), connections, placeholders, draft, is_closed }
    }

    /// What the draft says of a source.
    fn of_draft(&self, source: &Source) -> Option<SecretText> {
        let draft = self.draft.as_ref()?;
        match source.watch() {
            WatchHint::ContentOf(path) => draft.typed.get(&path).cloned(),
            WatchHint::Poll(_) => {
                let entries = draft.running.entries.lock();
                entries.get(source).and_then(|entry| entry.kept.as_ref()).map(|kept| kept.value.clone())
            }
            WatchHint::Constant => None,
        }
    }

    /// The connection to a store that `is_it` finds, or else a new one, as long as a source has it.
    pub fn connection<C: StoreConnection>(
        &self,
        is_it: impl Fn(&C) -> bool,
        open: impl FnOnce() -> C,
    ) -> Arc<C> {
        let running = self.draft.as_ref().and_then(|draft| draft.running.connections.find(&is_it));
        if let Some(known) = running.or_else(|| self.connections.find(is_it)) {
            return known;
        }
        let new = Arc::new(open());
        self.connections.add(new.clone());
        new
    }

    /// Whether a source may give a placeholder.
    pub fn has_placeholders(&self) -> bool {
        self.placeholders != Placeholders::None
    }

    fn placeholder(&self, source: &Source) -> Option<SecretText> {
        let placeholder = || SecretText::verbatim(Zeroizing::new(PLACEHOLDER.to_owned()));
        match self.placeholders {
            Placeholders::None => None,
            Placeholders::All => Some(placeholder()),
            Placeholders::OfMissing if matches!(source.watch(), WatchHint::Poll(_)) => Some(placeholder()),
            Placeholders::OfMissing => {
                Some(source.fetch().map_or_else(|_| placeholder(), |fetched| fetched.value))
            }
        }
    }

    /// The value of a source. If the source is polled, the one that was fetched last; otherwise, or if there is
    /// none, fetches it, and blocks. `place` is the path in the configuration at which it is used.
    pub fn fetch(&self, source: &Source, place: &str) -> Result<SecretText, SourceError> {
        if let Some(placeholder) = self.placeholder(source) {
            return Ok(placeholder);
        }
        match source.document() {
            Some(document) => source.part_of(&self.fetch_whole(&document, Some(source), place)?),
            None => self.fetch_whole(source, None, place),
        }
    }

    /// The value of a source that reads a file, as [`fetch`](Self::fetch) gives it. `stamp` is that of the file a moment ago: if the
    /// file had the same one when it was read last, it is not read.
    pub fn fetch_file(
        &self,
        source: &Source,
        place: &str,
        stamp: Option<Stamp>,
    ) -> Result<SecretText, SourceError> {
        let Some(stamp) = stamp.filter(|_| !self.has_placeholders() && self.draft.is_none()) else {
            return self.fetch(source, place);
        };
        if let Some(known) = self.of_files.get(source, stamp) {
            return Ok(known);
        }
        let value = self.fetch(source, place)?;
        self.of_files.keep(source, stamp, value.clone());
        Ok(value)
    }

    fn fetch_whole(
        &self,
        source: &Source,
        part: Option<&Source>,
        place: &str,
    ) -> Result<SecretText, SourceError> {
        if let Some(value) = self.of_draft(source) {
            return Ok(value);
        }
        let WatchHint::Poll(interval) = source.watch() else { return Ok(source.fetch()?.value) };
        {
            let mut entries = self.entries.lock();
            if let Some(entry) = entries.get_mut(source) {
                entry.note(part, place);
                if let Some(kept) = &entry.kept {
                    return Ok(kept.value.clone());
                }
                if let Some(missing) = entry.missing.as_ref().filter(|missing| missing.due > Instant::now()) {
                    return Err(missing.error.clone());
                }
            }
        }
        if self.is_closed.load(Ordering::Acquire) {
            return Err(SourceError::passing(format!("{source} is not read any more: Sidekey is stopping")));
        }
        let fetched = source.fetch();
        let mut entries = self.entries.lock();
        let entry = entries.entry(source.clone()).or_default();
        entry.note(part, place);
        match fetched {
            Ok(fetched) => {
                let value = fetched.value.clone();
                entry.keep(interval, fetched);
                Ok(value)
            }
            Err(error) => {
                entry.miss(&error);
                Err(error)
            }
        }
    }

    /// Checks that a source which is fetched again for each use gives a secret now. A polled one is fetched the
    /// first time only, so that reading the configuration again does not.
    pub fn check(&self, source: &Source) -> Result<(), SourceError> {
        if self.has_placeholders() || self.of_draft(source).is_some() {
            return Ok(());
        }
        let is_polled = matches!(source.watch(), WatchHint::Poll(_));
        if is_polled
            && let Some(entry) = self.entries.lock().get_mut(source)
            && (entry.is_checked || entry.kept.is_some())
        {
            entry.used = true;
            return Ok(());
        }
        source.secret()?;
        if is_polled {
            let mut entries = self.entries.lock();
            let entry = entries.entry(source.clone()).or_default();
            (entry.used, entry.is_checked) = (true, true);
        }
        Ok(())
    }

    /// Begins a reading of the configuration: what it does not use can be removed after it.
    pub fn mark_unused(&self) {
        self.entries.lock().values_mut().for_each(|entry| entry.used = false);
        self.of_files.mark_unused();
    }

    /// Removes the sources that were not used since the last [`mark_unused`](Self::mark_unused), and ends their leases and the connections that no source
    /// has any more. Blocks.
    pub fn evict_unused(&self) {
        let unused: Vec<_> = {
            let mut entries = self.entries.lock();
            entries.extract_if(|_, entry| !entry.used).collect()
        };
        for (_, entry) in &unused {
            entry.release();
        }
        drop(unused);
        self.of_files.evict_unused();
        self.connections.close_unused();
    }

    /// Ends every lease and every connection, because the process ends. Blocks, for a bounded time.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        let entries = std::mem::take(&mut *self.entries.lock());
        entries.values().for_each(CacheEntry::release);
        self.of_files.clear();
        self.connections.close();
    }

    /// When the next source is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.entries.lock().values().filter_map(CacheEntry::due).min()
    }

    /// The secrets that stay in use although their sources fail, by the first place of each.
    pub fn stale(&self) -> Vec<StaleSecret> {
        let entries = self.entries.lock();
        let stale = entries.iter().filter_map(|(source, entry)| {
            let failing = entry.kept.as_ref()?.failing.as_ref()?;
            Some(StaleSecret {
                source: format!("{source:?}"),
                places: entry.places.iter().cloned().collect(),
                since: failing.since,
                error: failing.error.to_string(),
            })
        });
        let mut stale: Vec<_> = stale.collect();
        stale.sort_by(|one, other| (&one.places, &one.source).cmp(&(&other.places, &other.source)));
        stale
    }

    /// Fetches from the sources that are due, or from all of them. Blocks.
    pub fn refresh(&self, all: bool) -> RefreshOutcome {
        let now = Instant::now();
        let is_due = |entry: &CacheEntry| entry.due().is_some_and(|due| all || due <= now);
        let due: Vec<_> = {
            let mut entries = self.entries.lock();
            let due = entries.iter_mut().filter(|(_, entry)| is_due(entry));
            due.map(|(source, entry)| (source.clone(), entry.take_lease())).collect()
        };
        let mut outcome = RefreshOutcome::default();
        for (source, lease) in due {
            let again = fetch_again(&source, lease);
            let mut entries = self.entries.lock();
            if let Some(entry) = entries.get_mut(&source) {
                entry.apply(&source, again, &mut outcome);
            } else {
                drop(entries);
                again.release();
            }
        }
        outcome
    }
}

/// Leases and logins do not outlive the cache.
impl Drop for SecretCache {
    fn drop(&mut self) {
        self.close();
    }
}

/// The outcome of fetching a value again.
enum Again {
    /// It is the same one.
    Same(Box<dyn Lease>, SystemTime),
    New(Fetched),
    /// The lease is that of the previous value.
    Failed(SourceError, Option<Box<dyn Lease>>),
}

impl Again {
    fn release(self) {
        let lease = match self {
            Self::Same(lease, _) => Some(lease),
            Self::New(fetched) => fetched.lease,
            Self::Failed(_, lease) => lease,
        };
        if let Some(lease) = lease {
            lease.release();
        }
    }
}

fn fetch_again(source: &Source, lease: Option<Box<dyn Lease>>) -> Again {
    match lease.as_ref().map(|lease| lease.renew()) {
        Some(Ok(Renewal::Until(end))) => match lease {
            Some(lease) => Again::Same(lease, end),
            None => unreachable!("only a lease is renewed"),
        },
        Some(Err(error)) => Again::Failed(error, lease),
        Some(Ok(Renewal::Ended)) | None => match source.fetch() {
            Ok(fetched) => Again::New(fetched),
            Err(error) => Again::Failed(error, lease),
        },
    }
}

impl CacheEntry {
    /// Notes that it is used.
    fn note(&mut self, part: Option<&Source>, place: &str) {
        if !self.used {
            self.places.clear();
            self.parts.clear();
        }
        self.used = true;
        self.parts.extend(part.cloned());
        self.places.insert(place.to_owned());
    }

    fn due(&self) -> Option<Instant> {
        match (&self.kept, &self.missing) {
            (Some(kept), _) => Some(kept.due),
            (None, Some(missing)) => Some(missing.due),
            (None, None) => None,
        }
    }

    fn take_lease(&mut self) -> Option<Box<dyn Lease>> {
        self.kept.as_mut().and_then(|kept| kept.lease.take())
    }

    fn keep(&mut self, interval: Duration, fetched: Fetched) {
        self.missing = None;
        self.kept = Some(Kept::new(interval, fetched));
    }

    /// Notes that there is no value yet. An error that does not pass by itself is found again when the configuration is read.
    fn miss(&mut self, error: &SourceError) {
        let missing = || Missing::after(self.missing.as_ref(), error.clone());
        self.missing = error.is_passing().then(missing);
    }

    /// Uses what was fetched again.
    fn apply(&mut self, source: &Source, again: Again, outcome: &mut RefreshOutcome) {
        let Some(kept) = &mut self.kept else {
            match (again, source.watch()) {
                (Again::New(fetched), WatchHint::Poll(interval)) => {
                    self.keep(interval, fetched);
                    outcome.changed = true;
                }
                (Again::Failed(error, _), _) => {
                    self.miss(&error);
                    outcome.failed = true;
                    // The configuration is read again, so that the other error is reported.
                    outcome.changed |= !error.is_passing();
                }
                _ => {}
            }
            return;
        };
        let failed = match again {
            Again::Same(lease, end) => {
                kept.lease = Some(lease);
                kept.confirm(source, Some(end));
                return;
            }
            Again::New(fetched) => kept.replace(source, &self.parts, fetched),
            Again::Failed(error, lease) => {
                kept.lease = lease;
                Err(error)
            }
        };
        match failed {
            Ok(is_other) => outcome.changed |= is_other,
            Err(error) => {
                outcome.failed = true;
                kept.failed(source, error);
            }
        }
    }

    fn release(&self) {
        if let Some(lease) = self.kept.as_ref().and_then(|kept| kept.lease.as_ref()) {
            lease.release();
        }
    }
}
