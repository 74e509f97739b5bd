//! Tests of the cache.

#![allow(clippy::unwrap_used)]

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::kept::{MAX_INTERVAL, due};
use super::scripted::Behaviour;
use super::*;
use crate::secret::SecretSource;

/// A source that gives what a test puts into it.
type Scripted = super::scripted::Scripted<Answers>;

#[derive(Default)]
struct Answers {
    value: Mutex<Option<&'static str>>,
    fetches: AtomicUsize,
    is_constant: bool,
}

impl Behaviour for Answers {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let value = self.value.lock().ok_or_else(|| SourceError::new("nothing there"))?;
        Ok(Fetched::lasting(text(value)))
    }

    fn watch(&self) -> WatchHint {
        if self.is_constant { WatchHint::Constant } else { WatchHint::Poll(Duration::from_secs(300)) }
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
    assert!(cache.fetch(&source, "a").is_err(), "nothing to fall back on");
    set(Some("one"));
    for _ in 0..2 {
        assert!(cache.fetch(&source, "a").unwrap() == text("one"));
    }
    assert_eq!(fetches(), 2);
    assert_eq!((cache.refresh(false), fetches()), (RefreshOutcome::default(), 2), "not due");
    set(Some("two"));
    assert_eq!(cache.refresh(true), RefreshOutcome { changed: true, failed: false });
    for unusable in [None, Some(""), Some("two\nlines"), Some("\u{feff}two")] {
        set(unusable);
        assert_eq!(cache.refresh(true), RefreshOutcome { changed: false, failed: true }, "{unusable:?}");
        assert!(cache.fetch(&source, "a").unwrap() == text("two"));
    }
    let left = |due: Option<Instant>| due.unwrap().duration_since(Instant::now());
    assert!(left(cache.next_due()) <= RETRY_INTERVAL);
    cache.evict_unused();
    assert!(cache.next_due().is_some());
    cache.mark_unused();
    cache.evict_unused();
    assert!(cache.next_due().is_none());
}

#[test]
fn source_without_polling_is_fetched_each_time() {
    let scripted = Scripted::new(Answers { is_constant: true, ..Answers::default() });
    let (source, cache) = (Source::new(scripted.clone()), SecretCache::default());
    *scripted.value.lock() = Some("one");
    for _ in 0..2 {
        assert!(cache.fetch(&source, "a").is_ok() && cache.check(&source).is_ok());
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
    assert!(cache.fetch(&source, "a").is_ok() && cache.next_due().is_some());
}

#[test]
fn placeholders_are_given_without_a_fetch() {
    let scripted = Scripted::default();
    let (source, cache) = (Source::new(scripted.clone()), SecretCache::with_placeholders());
    let text = cache.fetch(&source, "a").unwrap();
    assert!(cache.check(&source).is_ok() && text.into_secret().is_ok());
    assert_eq!(scripted.fetches.load(Ordering::Relaxed), 0);
}

#[test]
fn lenient_cache_gives_what_is_there() {
    let scripted = Scripted::new(Answers { is_constant: true, ..Answers::default() });
    let (source, cache) = (Source::new(scripted.clone()), SecretCache::lenient());
    assert!(cache.fetch(&source, "a").unwrap() == text(PLACEHOLDER));
    *scripted.value.lock() = Some("one");
    assert!(cache.fetch(&source, "a").unwrap() == text("one"));
    let polled = Source::new(Scripted::default());
    assert!(cache.fetch(&polled, "a").unwrap() == text(PLACEHOLDER));
}

#[test]
fn cache_of_a_draft_uses_what_runs_and_does_not_change_it() {
    let scripted = Scripted::default();
    let (source, running) = (Source::new(scripted.clone()), Arc::new(SecretCache::default()));
    *scripted.value.lock() = Some("one");
    running.fetch(&source, "a").unwrap();
    *scripted.value.lock() = Some("two");
    let other = Source::new(Scripted::new(Answers { value: Mutex::new(Some("x")), ..Answers::default() }));
    let draft = SecretCache::for_draft(running.clone(), HashMap::new());
    assert!(draft.fetch(&source, "a").unwrap() == text("one") && draft.check(&source).is_ok());
    assert!(draft.fetch(&other, "a").unwrap() == text("x"));
    assert_eq!((scripted.fetches.load(Ordering::Relaxed), running.entries.lock().len()), (1, 1));
}

#[test]
fn value_is_due_before_it_expires() {
    let interval = Duration::from_secs(300);
    let max = MAX_INTERVAL.as_secs_f64();
    for (life, interval, latest) in [
        (None, interval, 300.0),
        (Some(100), interval, 80.0),
        (Some(9000), interval, 300.0),
        (Some(0), interval, 1.0),
        (None, Duration::MAX, max),
    ] {
        let expires_at = life.map(|seconds| SystemTime::now() + Duration::from_secs(seconds));
        for _ in 0..100 {
            let after = due(interval, expires_at).saturating_duration_since(Instant::now()).as_secs_f64();
            assert!((latest * 0.899..=latest).contains(&after), "{life:?}: {after}");
        }
    }
}

/// A document with parts, and a lease that a test controls.
#[derive(Clone, Default)]
struct Leased {
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    value: &'static str,
    error: Option<SourceError>,
    renewal: Option<Renewal>,
    fetches: usize,
    renewals: usize,
    releases: usize,
}

impl SecretSource for Leased {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        let mut script = self.script.lock();
        script.fetches += 1;
        if let Some(error) = &script.error {
            return Err(error.clone());
        }
        let lease: Box<dyn Lease> = Box::new(self.clone());
        let expires_at = Some(SystemTime::now() + Duration::from_secs(100));
        Ok(Fetched { value: text(script.value), expires_at, lease: Some(lease) })
    }

    fn watch(&self) -> WatchHint {
        WatchHint::Poll(Duration::from_secs(300))
    }
}

impl Lease for Leased {
    fn renew(&self) -> Result<Renewal, SourceError> {
        let mut script = self.script.lock();
        script.renewals += 1;
        script.renewal.ok_or_else(|| SourceError::passing("away"))
    }

    fn release(&self) {
        self.script.lock().releases += 1;
    }
}

impl PartialEq for Leased {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.script, &other.script)
    }
}

impl Eq for Leased {}

impl Hash for Leased {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.script).hash(state);
    }
}

impl fmt::Debug for Leased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("leased")
    }
}

impl fmt::Display for Leased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lease")
    }
}

/// A word of a document.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Word(Leased, usize);

impl SecretSource for Word {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        let fetched = SecretSource::fetch(&self.0)?;
        Ok(Fetched { value: self.part_of(&fetched.value)?, ..fetched })
    }

    fn watch(&self) -> WatchHint {
        SecretSource::watch(&self.0)
    }

    fn document(&self) -> Option<Source> {
        Some(Source::new(self.0.clone()))
    }

    fn part_of(&self, document: &SecretText) -> Result<SecretText, SourceError> {
        let word = document.as_str().split(' ').nth(self.1);
        word.map(text).ok_or_else(|| SourceError::new("no such word"))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("word")
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the word")
    }
}

#[test]
fn parts_of_a_document_are_fetched_and_kept_together() {
    let (document, cache) = (Leased::default(), SecretCache::default());
    let set = |value| document.script.lock().value = value;
    set("a b");
    let [one, two, three] = [0, 1, 2].map(|index| Source::new(Word(document.clone(), index)));
    assert!(cache.fetch(&one, "x").unwrap() == text("a") && cache.fetch(&two, "y").unwrap() == text("b"));
    assert_eq!(cache.fetch(&three, "z").err(), Some(SourceError::new("no such word")));
    assert_eq!(document.script.lock().fetches, 1);
    document.script.lock().renewal = Some(Renewal::Ended);
    set("c");
    assert_eq!(cache.refresh(true), RefreshOutcome { changed: false, failed: true }, "a part is gone");
    assert!(cache.fetch(&one, "x").unwrap() == text("a"));
    let stale = cache.stale();
    assert_eq!((stale.len(), &*stale[0].error, &*stale[0].source), (1, "no such word", "leased"));
    assert_eq!(stale[0].places, ["x", "y", "z"]);
    set("c d");
    assert_eq!(cache.refresh(true), RefreshOutcome { changed: true, failed: false });
    assert!(cache.fetch(&two, "y").unwrap() == text("d") && cache.stale().is_empty());
}

#[test]
fn lease_is_renewed_and_released_with_its_source() {
    let (document, cache) = (Leased::default(), SecretCache::default());
    document.script.lock().value = "a b";
    let source = Source::new(document.clone());
    cache.fetch(&source, "x").unwrap();
    let in_80_s =
        |cache: &SecretCache| cache.next_due().unwrap().duration_since(Instant::now()).as_secs() > 70;
    assert!(in_80_s(&cache));
    let end = SystemTime::now() + Duration::from_secs(10);
    document.script.lock().renewal = Some(Renewal::Until(end));
    assert_eq!(cache.refresh(true), RefreshOutcome::default());
    assert!(!in_80_s(&cache), "it is due before the new end");
    // A failure near the end is repeated before it.
    document.script.lock().renewal = None;
    assert_eq!(cache.refresh(true), RefreshOutcome { changed: false, failed: true });
    assert!(cache.next_due().unwrap().duration_since(Instant::now()) < Duration::from_secs(4));
    document.script.lock().renewal = Some(Renewal::Ended);
    document.script.lock().value = "c d";
    assert_eq!(cache.refresh(true), RefreshOutcome { changed: true, failed: false });
    {
        let script = document.script.lock();
        assert_eq!(
            (script.fetches, script.renewals, script.releases),
            (2, 3, 0),
            "the old lease ends by itself"
        );
    }
    cache.evict_unused();
    assert_eq!(document.script.lock().releases, 0);
    cache.mark_unused();
    cache.evict_unused();
    assert_eq!((document.script.lock().releases, cache.next_due()), (1, None));
    cache.fetch(&source, "x").unwrap();
    drop(cache);
    assert_eq!(document.script.lock().releases, 2);
}

#[test]
fn source_of_a_store_that_is_away_is_tried_again_later() {
    let (document, cache) = (Leased::default(), SecretCache::default());
    let away = SourceError::passing("away");
    document.script.lock().error = Some(away.clone());
    let source = Source::new(document.clone());
    for _ in 0..3 {
        assert_eq!(cache.fetch(&source, "x").err(), Some(away.clone()));
    }
    assert_eq!(document.script.lock().fetches, 1, "not for each reading of the configuration");
    assert!(cache.next_due().is_some_and(|due| due <= Instant::now() + Duration::from_secs(1)));
    assert_eq!(cache.refresh(true), RefreshOutcome { changed: false, failed: true });
    assert!(cache.stale().is_empty(), "there is nothing that could be stale");
    let other = SourceError::new("there is no such secret");
    document.script.lock().error = Some(other.clone());
    assert!(cache.refresh(true).changed, "the other error is to be reported");
    assert_eq!((cache.next_due(), cache.fetch(&source, "x").err()), (None, Some(other)));
    document.script.lock().error = Some(away);
    assert!(cache.fetch(&source, "x").is_err());
    document.script.lock().error = None;
    assert_eq!(cache.refresh(true), RefreshOutcome { changed: true, failed: false });
    assert!(cache.fetch(&source, "x").is_ok());
}

/// A connection that counts how often it was closed.
struct Line(u8, Arc<AtomicUsize>);

impl StoreConnection for Line {
    fn close(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn connection_is_shared_and_closed_when_nothing_has_it() {
    let (closed, cache) = (Arc::new(AtomicUsize::new(0)), Arc::new(SecretCache::default()));
    let open = |cache: &SecretCache, number: u8| {
        cache.connection(|line: &Line| line.0 == number, || Line(number, closed.clone()))
    };
    let (one, again, two) = (open(&cache, 1), open(&cache, 1), open(&cache, 2));
    assert!(Arc::ptr_eq(&one, &again) && !Arc::ptr_eq(&one, &two));
    let draft = SecretCache::for_draft(cache.clone(), HashMap::new());
    assert!(Arc::ptr_eq(&open(&draft, 1), &one), "a draft uses what runs");
    open(&draft, 3);
    drop(draft);
    assert_eq!(closed.load(Ordering::Relaxed), 1, "that of the draft alone");
    drop(two);
    cache.evict_unused();
    assert_eq!(closed.load(Ordering::Relaxed), 2);
    drop((one, again));
    drop(cache);
    assert_eq!(closed.load(Ordering::Relaxed), 3);
}
