use super::*;
use crate::refresh::store::{RefreshDecision, RefreshReason};
use async_trait::async_trait;
use parking_lot::Mutex;

const PANIC: &str = "panic";

/// A value that knows nothing of OAuth2.
struct Ticket(Expiry);

impl Expiring for Ticket {
    const NAME: &'static str = "ticket";

    fn expiry(&self) -> Expiry {
        self.0
    }
}

/// Responds as told, and records when it was called.
struct Scripted {
    lifetime: Mutex<Duration>,
    takes: Mutex<Duration>,
    down: Mutex<Option<SourceError>>,
    calls: Mutex<Vec<Instant>>,
}

#[async_trait]
impl Source<Ticket> for Scripted {
    async fn fetch(&self) -> Result<Ticket, SourceError> {
        self.calls.lock().push(Instant::now());
        if let Some(error) = self.down.lock().clone() {
            assert_ne!(error.message, PANIC);
            return Err(error);
        }
        // The lifetime counts from when the request is sent.
        let (sent, takes) = (ClockReading::now(), *self.takes.lock());
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        Ok(Ticket(Expiry::after(sent, *self.lifetime.lock())))
    }
}

/// A refresher that stops when this is dropped: on a paused clock it would run for years.
struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn start(lifetime: Duration) -> (Arc<Scripted>, Arc<Store<Ticket>>, Running) {
    let source = Arc::new(Scripted {
        lifetime: Mutex::new(lifetime),
        takes: Mutex::default(),
        down: Mutex::default(),
        calls: Mutex::default(),
    });
    let store = Arc::new(Store::new(Duration::from_secs(5)));
    let running = tokio::spawn(run("test".into(), source.clone(), store.clone()));
    (source, store, Running(running))
}

/// Real time hardly passes while tokio's clock is paused, so that only the monotonic clock ends a value
/// here.
#[tokio::test(start_paused = true)]
async fn refresher_calls_the_source_as_the_schedule_says() {
    for lifetime in [1, 10, 60, 3600, 86_400] {
        let lifetime = Duration::from_secs(lifetime);
        let (source, store, _running) = start(lifetime);
        tokio::time::sleep(lifetime * 20).await;
        let calls = source.calls.lock().len();
        assert!((23..=28).contains(&calls), "{calls} calls in 20 lifetimes of {lifetime:?}");
        assert!(store.current().is_some());
    }
}

/// A source that is slow and healthy leaves no time without a value, whatever the lifetime, and a request
/// never gets less than it waits for.
#[tokio::test(start_paused = true)]
async fn refresher_renews_in_time_from_a_slow_source() {
    for (lifetime, took) in [(8000, 1300), (10_000, 2000), (6000, 2000), (3_600_000, 9000)] {
        let (lifetime, took) = (Duration::from_millis(lifetime), Duration::from_millis(took));
        let (source, store, _running) = start(lifetime);
        *source.takes.lock() = took;
        store.wait_until_usable(2 * took).await;
        for check in 0..500 {
            assert!(store.current().is_some(), "check {check} of {lifetime:?} that take {took:?}");
            tokio::time::sleep(lifetime / 50).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn request_waits_for_a_renewal_that_is_slower_than_the_value_lives() {
    let (source, store, _running) = start(Duration::from_secs(5));
    *source.takes.lock() = Duration::from_secs(4);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        store.wait_until_usable(Duration::from_secs(5)).await;
        assert!(store.current().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn request_wakes_the_refresher_after_the_clock_was_set_forward() {
    let (source, store, _running) = start(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let slept = ClockReading::now().with_wall_clock_back(Duration::from_secs(7200));
    store.store_value(Ticket(Expiry::after(slept, Duration::from_secs(3600))));
    assert!(store.current().is_none());
    let before = Instant::now();
    store.wait_until_usable(Duration::from_secs(5)).await;
    assert!(store.current().is_some());
    assert_eq!((before.elapsed(), source.calls.lock().len()), (Duration::ZERO, 2));
}

#[tokio::test(start_paused = true)]
async fn refresher_keeps_a_valid_value_while_the_source_is_down() {
    let (source, store, _running) = start(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_secs(40)).await;
    *source.down.lock() = Some(SourceError::new(SourceErrorKind::ServerError, "503"));
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(store.current().is_some(), "valid until its expiry");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(store.current().is_none(), "never past it");
    assert!(store.status().next_attempt_in() <= Duration::from_secs(15));
    *source.down.lock() = None;
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(store.current().is_some(), "back within one step of the back-off");
}

#[tokio::test(start_paused = true)]
async fn refresher_never_stops_whatever_the_error() {
    use SourceErrorKind::{Connect, Malformed, Refused};
    for (kind, message) in [(Malformed, "odd"), (Refused, "odd"), (Connect, "odd"), (Malformed, PANIC)] {
        let (source, store, _running) = start(Duration::from_secs(60));
        *source.down.lock() = Some(SourceError::new(kind, message));
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        let calls = source.calls.lock().len();
        assert!(calls > 500, "{calls} calls in a day of {kind:?}");
        *source.down.lock() = None;
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(store.current().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn refresher_waits_for_retry_after() {
    let (source, _store, _running) = start(Duration::from_secs(60));
    let asked_to_wait = SourceError {
        retry_after: Some(Duration::from_secs(120)),
        ..SourceError::new(SourceErrorKind::RateLimited, "429")
    };
    *source.down.lock() = Some(asked_to_wait);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    let calls = source.calls.lock().clone();
    for pair in calls.windows(2).skip(1) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(120));
    }
}

#[tokio::test(start_paused = true)]
async fn refresher_keeps_a_valid_value_if_the_new_one_has_expired() {
    let (source, store, _running) = start(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_secs(40)).await;
    *source.lifetime.lock() = Duration::ZERO;
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(source.calls.lock().len() > 1);
    assert!(store.current().is_some(), "valid until its own expiry");
    let error = store.status().last_error.unwrap();
    assert_eq!(error.message, "the new ticket had expired before it arrived");
}

#[tokio::test(start_paused = true)]
async fn refresher_fetches_at_once_when_a_refresh_is_requested() {
    let (source, store, _running) = start(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let generation = store.current().unwrap().as_ref().unwrap().generation;
    assert_eq!((generation, source.calls.lock().len()), (1, 1));
    let RefreshDecision::Pending(attempt) = store.refresh_now(RefreshReason::Rejected(generation)) else {
        panic!("pending")
    };
    assert!(store.wait_for(attempt, Duration::from_secs(5)).await);
    assert_eq!(store.current().unwrap().as_ref().unwrap().generation, 2);
    assert_eq!(source.calls.lock().len(), 2);
}

#[tokio::test]
async fn pause_ends_when_the_machine_slept_past_its_due_time() {
    let hour = Duration::from_secs(3600);
    let slept = Expiry::after(ClockReading::now().with_wall_clock_back(2 * hour), hour);
    tokio::time::timeout(Duration::from_secs(5), pause(slept)).await.unwrap();
}
