//! Keeps what polled sources gave, so that reading the configuration fetches none of them, and refreshes it in
//! time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::{Fetched, SecretText, Source, SourceError, WatchHint};

/// Time until a source that failed is tried again; its polling interval, if that is shorter.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);
/// Shortest time between two fetches, even if a secret expires sooner.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time between two fetches.
const MAX_INTERVAL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The last value of every source that is polled.
#[derive(Default)]
pub struct SecretCache {
    entries: Mutex<HashMap<Source, CacheEntry>>,
    placeholders: Placeholders,
    draft: Option<Draft>,
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
    /// `None` if the source was only checked.
    kept: Option<Kept>,
    /// Whether it was used since the last [`SecretCache::evict_unused`].
    used: bool,
}

struct Kept {
    value: SecretText,
    interval: Duration,
    due: Instant,
    failing: Option<SourceError>,
}

/// The outcome of a refresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefreshOutcome {
    /// Whether a value changed.
    pub changed: bool,
    /// Whether a source failed; its previous value stays in use.
    pub failed: bool,
}

/// A secret that every format accepts: hexadecimal digits, which are Base64 as well.
const PLACEHOLDER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl SecretCache {
    /// A cache that fetches nothing: every source gives a placeholder. For checking a configuration where its secrets are
    /// not.
    pub fn with_placeholders() -> Self {
        Self { placeholders: Placeholders::All, ..Self::default() }
    }

    /// A cache that gives a placeholder for every source that gives nothing here, and runs no command. For a program that uses
    /// few of the secrets.
    pub fn lenient() -> Self {
        Self { placeholders: Placeholders::OfMissing, ..Self::default() }
    }

    /// A cache for reading a configuration as it would be. `typed` has the content of files that do not exist yet. What is polled is
    /// not fetched if `running` has it, and `running` is not changed.
    pub fn for_draft(running: Arc<Self>, typed: HashMap<PathBuf, SecretText>) -> Self {
        Self { draft: Some(Draft { running, typed }), ..Self::default() }
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
    /// none, fetches it, and blocks.
    pub fn fetch(&self, source: &Source) -> Result<SecretText, SourceError> {
        if let Some(placeholder) = self.placeholder(source) {
            return Ok(placeholder);
        }
        if let Some(value) = self.of_draft(source) {
            return Ok(value);
        }
        let WatchHint::Poll(interval) = source.watch() else { return Ok(source.fetch()?.value) };
        if let Some(entry) = self.entries.lock().get_mut(source)
            && let Some(kept) = &entry.kept
        {
            entry.used = true;
            return Ok(kept.value.clone());
        }
        let fetched = source.fetch()?;
        let due = due(interval, &fetched);
        let kept = Kept { value: fetched.value.clone(), interval, due, failing: None };
        self.entries.lock().insert(source.clone(), CacheEntry { kept: Some(kept), used: true });
        Ok(fetched.value)
    }

    /// Checks that a source which is fetched again for each use gives a secret now. A polled one is fetched the
    /// first time only, so that reading the configuration again does not.
    pub fn check(&self, source: &Source) -> Result<(), SourceError> {
        if self.has_placeholders() || self.of_draft(source).is_some() {
            return Ok(());
        }
        let is_polled = matches!(source.watch(), WatchHint::Poll(_));
        if is_polled && let Some(entry) = self.entries.lock().get_mut(source) {
            entry.used = true;
            return Ok(());
        }
        source.secret()?;
        if is_polled {
            self.entries.lock().entry(source.clone()).or_default().used = true;
        }
        Ok(())
    }

    /// Removes the sources that were not used since the last call.
    pub fn evict_unused(&self) {
        self.entries.lock().retain(|_, entry| std::mem::take(&mut entry.used));
    }

    /// When the next source is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.entries.lock().values().filter_map(|entry| Some(entry.kept.as_ref()?.due)).min()
    }

    /// Fetches from the sources that are due, or from all of them. Blocks.
    pub fn refresh(&self, all: bool) -> RefreshOutcome {
        let now = Instant::now();
        let is_due = |entry: &CacheEntry| entry.kept.as_ref().is_some_and(|kept| all || kept.due <= now);
        let due: Vec<_> = self
            .entries
            .lock()
            .iter()
            .filter(|(_, entry)| is_due(entry))
            .map(|(source, _)| source.clone())
            .collect();
        let mut outcome = RefreshOutcome::default();
        for source in due {
            let fetched = source.fetch();
            if let Some(kept) = self.entries.lock().get_mut(&source).and_then(|entry| entry.kept.as_mut()) {
                match fetched.and_then(|fetched| kept.replace(&source, fetched)) {
                    Ok(is_other) => outcome.changed |= is_other,
                    Err(error) => {
                        outcome.failed = true;
                        kept.failed(&source, error);
                    }
                }
            }
        }
        outcome
    }
}

impl Kept {
    /// Replaces the value; returns whether it is another one. A value that cannot be used as the previous one was
    /// is an error.
    fn replace(&mut self, source: &Source, fetched: Fetched) -> Result<bool, SourceError> {
        if source.signing_key_of(&self.value, None).is_ok() {
            source.signing_key_of(&fetched.value, None)?;
        } else if self.value.clone().into_secret().is_ok() {
            source.secret_of(fetched.value.clone())?;
        }
        if self.failing.take().is_some() {
            tracing::info!(secret.source = ?source, "secret source succeeded again");
        }
        self.due = due(self.interval, &fetched);
        let is_other = self.value != fetched.value;
        self.value = fetched.value;
        Ok(is_other)
    }

    /// Keeps the value, and logs a new error once.
    fn failed(&mut self, source: &Source, error: SourceError) {
        self.due = Instant::now() + RETRY_INTERVAL.min(self.interval.max(MIN_INTERVAL));
        if self.failing.as_ref() != Some(&error) {
            tracing::error!(
                secret.source = ?source,
                "secret source failed, the previous secret stays in use: {error}"
            );
            self.failing = Some(error);
        }
    }
}

/// When to fetch a value again: well before it expires, at four fifths of its lifetime.
fn due(interval: Duration, fetched: &Fetched) -> Instant {
    let life = fetched.expires_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    let wait = life.map_or(interval, |life| (life * 4 / 5).min(interval));
    Instant::now() + wait.clamp(MIN_INTERVAL, MAX_INTERVAL)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fmt;
    use std::hash::{Hash, Hasher};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::SecretSource;
    use super::*;

    /// A source that gives what a test puts into it.
    #[derive(Clone, Default)]
    struct Scripted {
        value: Arc<Mutex<Option<&'static str>>>,
        fetches: Arc<AtomicUsize>,
        is_constant: bool,
    }

    impl SecretSource for Scripted {
        fn fetch(&self) -> Result<Fetched, SourceError> {
            self.fetches.fetch_add(1, Ordering::Relaxed);
            let value = self.value.lock().ok_or_else(|| SourceError::new("nothing there"))?;
            Ok(Fetched { value: text(value), expires_at: None })
        }

        fn watch(&self) -> WatchHint {
            if self.is_constant { WatchHint::Constant } else { WatchHint::Poll(Duration::from_secs(300)) }
        }
    }

    impl PartialEq for Scripted {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.value, &other.value)
        }
    }

    impl Eq for Scripted {}

    impl Hash for Scripted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            Arc::as_ptr(&self.value).hash(state);
        }
    }

    impl fmt::Debug for Scripted {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("scripted")
        }
    }

    impl fmt::Display for Scripted {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the script")
        }
    }

    fn text(value: &str) -> SecretText {
        SecretText::verbatim(Zeroizing::new(value.to_owned()))
    }

    #[test]
    fn polled_source_is_fetched_once_and_kept_on_failure() {
        let scripted = Scripted::default();
        let (source, cache) = (Source::new(scripted.clone()), SecretCache::default());
        let set = |value| *scripted.value.lock() = value;
        let fetches = || scripted.fetches.load(Ordering::Relaxed);
        assert!(cache.fetch(&source).is_err(), "nothing to fall back on");
        set(Some("one"));
        for _ in 0..2 {
            assert!(cache.fetch(&source).unwrap() == text("one"));
        }
        assert_eq!(fetches(), 2);
        assert_eq!((cache.refresh(false), fetches()), (RefreshOutcome::default(), 2), "not due");
        set(Some("two"));
        assert_eq!(cache.refresh(true), RefreshOutcome { changed: true, failed: false });
        for unusable in [None, Some(""), Some("two\nlines"), Some("\u{feff}two")] {
            set(unusable);
            assert_eq!(cache.refresh(true), RefreshOutcome { changed: false, failed: true }, "{unusable:?}");
            assert!(cache.fetch(&source).unwrap() == text("two"));
        }
        let left = |due: Option<Instant>| due.unwrap().duration_since(Instant::now());
        assert!(left(cache.next_due()) <= RETRY_INTERVAL);
        cache.evict_unused();
        assert!(cache.next_due().is_some());
        cache.evict_unused();
        assert!(cache.next_due().is_none());
    }

    #[test]
    fn source_without_polling_is_fetched_each_time() {
        let scripted = Scripted { is_constant: true, ..Scripted::default() };
        let (source, cache) = (Source::new(scripted.clone()), SecretCache::default());
        *scripted.value.lock() = Some("one");
        for _ in 0..2 {
            assert!(cache.fetch(&source).is_ok() && cache.check(&source).is_ok());
        }
        assert_eq!(scripted.fetches.load(Ordering::Relaxed), 4);
        assert_eq!((cache.next_due(), cache.refresh(true)), (None, RefreshOutcome::default()));
    }

    #[test]
    fn checked_source_is_fetched_once_and_not_refreshed() {
        let scripted = Scripted::default();
        let (source, cache) = (Source::new(scripted.clone()), SecretCache::default());
        let fetches = || scripted.fetches.load(Ordering::Relaxed);
        assert!(cache.check(&source).is_err());
        *scripted.value.lock() = Some("one");
        assert!(cache.check(&source).is_ok() && cache.check(&source).is_ok());
        assert_eq!((fetches(), cache.next_due(), cache.refresh(true)), (2, None, RefreshOutcome::default()));
        cache.evict_unused();
        assert!(cache.check(&source).is_ok());
        assert_eq!(fetches(), 2);
        // The same source may be a secret as well.
        assert!(cache.fetch(&source).is_ok() && cache.next_due().is_some());
    }

    #[test]
    fn placeholders_are_given_without_a_fetch() {
        let scripted = Scripted::default();
        let (source, cache) = (Source::new(scripted.clone()), SecretCache::with_placeholders());
        let text = cache.fetch(&source).unwrap();
        assert!(cache.check(&source).is_ok() && text.into_secret().is_ok());
        assert_eq!(scripted.fetches.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn lenient_cache_gives_what_is_there() {
        let scripted = Scripted { is_constant: true, ..Scripted::default() };
        let (source, cache) = (Source::new(scripted.clone()), SecretCache::lenient());
        assert!(cache.fetch(&source).unwrap() == text(PLACEHOLDER));
        *scripted.value.lock() = Some("one");
        assert!(cache.fetch(&source).unwrap() == text("one"));
        let polled = Source::new(Scripted::default());
        assert!(cache.fetch(&polled).unwrap() == text(PLACEHOLDER));
    }

    #[test]
    fn cache_of_a_draft_uses_what_runs_and_does_not_change_it() {
        let scripted = Scripted::default();
        let (source, running) = (Source::new(scripted.clone()), Arc::new(SecretCache::default()));
        *scripted.value.lock() = Some("one");
        running.fetch(&source).unwrap();
        *scripted.value.lock() = Some("two");
        let other = Source::new(Scripted { value: Arc::new(Mutex::new(Some("x"))), ..Scripted::default() });
        let draft = SecretCache::for_draft(running.clone(), HashMap::new());
        assert!(draft.fetch(&source).unwrap() == text("one") && draft.check(&source).is_ok());
        assert!(draft.fetch(&other).unwrap() == text("x"));
        assert_eq!((scripted.fetches.load(Ordering::Relaxed), running.entries.lock().len()), (1, 1));
    }

    #[test]
    fn value_is_due_before_it_expires() {
        let after = |life: Option<u64>, interval: Duration| {
            let expires_at = life.map(|seconds| SystemTime::now() + Duration::from_secs(seconds));
            let fetched = Fetched { value: text("s"), expires_at };
            due(interval, &fetched)
                .saturating_duration_since(Instant::now())
                .as_secs_f64()
                .round()
                .to_string()
        };
        let interval = Duration::from_secs(300);
        assert_eq!(
            [None, Some(100), Some(9000), Some(0)].map(|life| after(life, interval)),
            ["300", "80", "300", "1"]
        );
        assert_eq!(after(None, Duration::MAX), MAX_INTERVAL.as_secs().to_string());
    }
}
