use super::*;
use crate::refresh::error::SourceErrorKind;
use crate::refresh::expiry::ClockReading;

const INTERVAL: Duration = Duration::from_secs(5);

/// The simplest value that expires.
#[derive(Debug)]
struct Ticket {
    text: &'static str,
    expiry: Expiry,
}

impl Expiring for Ticket {
    const NAME: &'static str = "ticket";

    fn expiry(&self) -> Expiry {
        self.expiry
    }
}

fn ticket(text: &'static str, lifetime: u64) -> Ticket {
    Ticket { text, expiry: Expiry::after(ClockReading::now(), Duration::from_secs(lifetime)) }
}

fn empty() -> Store<Ticket> {
    Store::new(INTERVAL)
}

fn down() -> SourceError {
    SourceError::new(SourceErrorKind::Connect, "down")
}

fn refused() -> SourceError {
    SourceError::new(SourceErrorKind::Refused, "no")
}

/// A value that the wall clock has left behind: it was set forward by two hours.
fn overtaken() -> Ticket {
    let (hour, now) = (Duration::from_secs(3600), ClockReading::now());
    Ticket { text: "overtaken", expiry: Expiry::after(now.with_wall_clock_back(2 * hour), hour) }
}

/// How long a request waits for a usable value.
async fn waited(store: &Store<Ticket>, limit: Duration) -> Duration {
    let start = Instant::now();
    store.wait_until_usable(limit).await;
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn store_hands_out_a_value_until_its_expiry_despite_failures() {
    let store = empty();
    assert!(store.current().is_none());
    store.store_value(ticket("one", 10));
    tokio::time::advance(Duration::from_secs(9)).await;
    store.attempt_failed(SourceError::new(SourceErrorKind::Timeout, "slow"), INTERVAL);
    assert_eq!(store.status().failures, 1);
    assert_eq!(store.current().unwrap().as_ref().unwrap().text, "one");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(store.current().is_none());
    store.store_value(ticket("two", 10));
    assert_eq!(store.current().unwrap().as_ref().unwrap().generation, 2);
    assert_eq!(store.status().failures, 0);
}

#[tokio::test(start_paused = true)]
async fn store_wakes_all_waiters_for_the_first_value() {
    let store = Arc::new(empty());
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                store.wait_until_usable(Duration::from_secs(5)).await;
                store.current().is_some()
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    store.store_value(ticket("one", 10));
    for request in waiting {
        assert!(request.await.unwrap());
    }
    let empty = empty();
    assert_eq!(waited(&empty, INTERVAL).await, INTERVAL, "the first attempt is about to start");
    assert!(empty.current().is_none());
}

#[tokio::test(start_paused = true)]
async fn store_does_not_wait_if_no_attempt_is_due_in_time() {
    let store = empty();
    store.attempt_started();
    store.attempt_failed(down(), Duration::from_secs(6));
    assert_eq!(waited(&store, INTERVAL).await, Duration::ZERO);
    store.attempt_started();
    store.attempt_failed(refused(), Duration::from_secs(1));
    assert_eq!(waited(&store, INTERVAL).await, Duration::ZERO, "a rejection is not over in a second");
    store.store_value(ticket("one", 10));
    store.next_attempt_in(Duration::from_secs(8));
    assert_eq!(waited(&store, INTERVAL).await, Duration::ZERO, "it is usable");
}

fn waiting(store: &Arc<Store<Ticket>>) -> tokio::task::JoinHandle<Duration> {
    let store = store.clone();
    tokio::spawn(async move { waited(&store, INTERVAL).await })
}

async fn a_second() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn store_wait_for_first_value_ends_with_a_rejection() {
    let store = Arc::new(empty());
    store.attempt_started();
    let request = waiting(&store);
    a_second().await;
    store.attempt_failed(down(), Duration::from_secs(1));
    a_second().await;
    store.attempt_started();
    store.attempt_failed(down(), Duration::from_secs(1));
    a_second().await;
    assert!(!request.is_finished(), "its source may be starting, too");
    store.attempt_started();
    store.attempt_failed(refused(), Duration::from_secs(258));
    assert_eq!(request.await.unwrap(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn store_wait_for_later_value_ends_with_one_failure() {
    let store = Arc::new(empty());
    store.store_value(ticket("one", 1));
    a_second().await;
    store.attempt_started();
    let request = waiting(&store);
    a_second().await;
    store.attempt_failed(down(), Duration::from_secs(1));
    let another = waiting(&store);
    a_second().await;
    assert!(!request.is_finished() && !another.is_finished(), "an attempt that began later decides");
    store.attempt_started();
    store.attempt_failed(down(), Duration::from_secs(1));
    assert_eq!(request.await.unwrap(), Duration::from_secs(2));
    assert_eq!(another.await.unwrap(), Duration::from_secs(1));

    store.attempt_started();
    let request = waiting(&store);
    a_second().await;
    store.store_value(ticket("two", 10));
    assert_eq!(request.await.unwrap(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn store_requests_a_refresh_if_the_clock_has_overtaken_the_value() {
    let store = empty();
    store.attempt_started();
    store.store_value(overtaken());
    store.next_attempt_in(Duration::from_secs(2880));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(store.current().is_none());
    assert_eq!(waited(&store, Duration::ZERO).await, Duration::ZERO);
    assert!(*store.refresh_requested.borrow(), "requested, whether or not it is waited for");
    store.attempt_started();
    store.attempt_failed(down(), Duration::from_secs(60));
    assert_eq!(waited(&store, INTERVAL).await, Duration::ZERO);
    assert!(!*store.refresh_requested.borrow(), "the back-off is respected");
    store.store_value(ticket("two", 3600));
    store.wait_until_usable(INTERVAL).await;
    assert!(!*store.refresh_requested.borrow(), "there is nothing to request");
}

#[tokio::test(start_paused = true)]
async fn store_does_not_request_values_that_expire_at_once_in_a_row() {
    let store = empty();
    store.attempt_started();
    store.store_value(overtaken());
    store.next_attempt_in(MIN_INTERVAL);
    store.wait_until_usable(Duration::ZERO).await;
    assert!(!*store.refresh_requested.borrow());
    tokio::time::sleep(MIN_INTERVAL).await;
    store.wait_until_usable(Duration::ZERO).await;
    assert!(*store.refresh_requested.borrow());
}

#[tokio::test(start_paused = true)]
async fn store_joins_concurrent_rejections_and_ignores_late_ones() {
    let store = Arc::new(empty());
    store.store_value(ticket("one", 3600));
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let RefreshDecision::Pending(attempt) = store.refresh_now(RefreshReason::Rejected(1)) else {
                    panic!("pending")
                };
                store.wait_for(attempt, INTERVAL).await
            })
        })
        .collect();
    store.refresh_requested().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.attempt_started();
    assert!(!*store.refresh_requested.borrow(), "one attempt serves all");
    store.store_value(ticket("two", 3600));
    for request in waiting {
        assert!(request.await.unwrap());
    }
    assert_eq!(store.refresh_now(RefreshReason::Rejected(1)), RefreshDecision::AlreadyNewer);
    assert!(!*store.refresh_requested.borrow(), "a late rejection requests nothing");
}

#[tokio::test(start_paused = true)]
async fn store_throttles_forced_refreshes_and_respects_back_off() {
    let store = empty();
    let forced = |reason, issue: Option<&'static str>| {
        let refresh = store.refresh_now(reason);
        if *store.refresh_requested.borrow() {
            store.attempt_started();
            match issue {
                Some(value) => store.store_value(ticket(value, 3600)),
                None => store.attempt_failed(down(), INTERVAL),
            }
        }
        matches!(refresh, RefreshDecision::Pending(_))
    };
    store.store_value(ticket("one", 3600));
    assert!(forced(RefreshReason::Rejected(1), Some("two")));
    assert!(
        !forced(RefreshReason::Rejected(2), Some("three"))
            && !forced(RefreshReason::Requested, Some("three"))
    );
    tokio::time::sleep(INTERVAL).await;
    assert!(forced(RefreshReason::Rejected(2), None));
    tokio::time::sleep(INTERVAL).await;
    assert!(!forced(RefreshReason::Rejected(2), Some("three")), "the back-off is not over");
    assert!(forced(RefreshReason::Requested, None));
    assert!(forced(RefreshReason::InputChanged, Some("three")), "a changed input is never throttled");
}

#[tokio::test(start_paused = true)]
async fn store_starts_another_attempt_for_a_change_during_one() {
    let store = empty();
    store.attempt_started();
    let RefreshDecision::Pending(first) = store.refresh_now(RefreshReason::Requested) else {
        panic!("pending")
    };
    let RefreshDecision::Pending(second) = store.refresh_now(RefreshReason::InputChanged) else {
        panic!("pending")
    };
    store.store_value(ticket("one", 3600));
    assert!(store.wait_for(first, INTERVAL).await);
    assert!(*store.refresh_requested.borrow());
    store.attempt_started();
    store.store_value(ticket("two", 3600));
    assert!(store.wait_for(second, INTERVAL).await);
}

#[tokio::test(start_paused = true)]
async fn store_ends_a_wait_at_its_limit_or_at_a_failure() {
    let store = Arc::new(empty());
    store.store_value(ticket("one", 3600));
    let RefreshDecision::Pending(attempt) = store.refresh_now(RefreshReason::Rejected(1)) else {
        panic!("pending")
    };
    let start = Instant::now();
    assert!(!store.wait_for(attempt, Duration::from_secs(2)).await);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    store.attempt_started();
    store.attempt_failed(down(), INTERVAL);
    assert!(!store.wait_for(attempt, Duration::from_secs(600)).await);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}
