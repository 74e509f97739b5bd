//! Single situations.

use std::time::Duration;

use tokio::time::Instant;

use super::memory_store::World;
use super::process::{Kind, PLAIN, Process, ROTATING};
use super::provider::Provider;
use crate::refresh::{Cause, Obtainer, SourceError, SourceErrorKind};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn value_of_another_process_is_taken_without_a_request() {
    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::MAX));
    let [one, other] = [(); 2].map(|()| Process::idle(&world, &provider, &PLAIN()));
    assert_eq!(one.obtain(Cause::Due).await.unwrap(), ("1".into(), Obtainer::Own));
    let (value, by) = other.obtain(Cause::Due).await.unwrap();
    assert_eq!((value.as_str(), by.as_str(), provider.requests()), ("1", "peer", 1));
}

#[tokio::test(start_paused = true)]
async fn rejection_is_answered_with_one_request_in_the_interval() {
    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::MAX));
    let [one, other] = [(); 2].map(|()| Process::idle(&world, &provider, &PLAIN()));
    one.obtain(Cause::Due).await.unwrap();
    other.obtain(Cause::Due).await.unwrap();
    assert_eq!(one.obtain(Cause::Rejected).await.unwrap().0, "2");
    // The other one has the value that was rejected, and then the one that both have.
    for _ in 0..2 {
        assert_eq!(other.obtain(Cause::Rejected).await.unwrap().0, "2");
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(other.obtain(Cause::Rejected).await.unwrap().0, "3");
    assert_eq!(provider.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn change_that_brings_nothing_new_causes_no_request() {
    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::ZERO));
    let one = Process::idle(&world, &provider, &PLAIN());
    one.obtain(Cause::Due).await.unwrap();
    assert_eq!(one.obtain(Cause::Changed).await.unwrap().0, "1");
    world.forget();
    assert_eq!(one.obtain(Cause::Changed).await.unwrap().0, "1");
    assert_eq!(world.records(), 1, "the store has got it back");
    assert_eq!(provider.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn failure_is_shared_until_it_may_be_asked_again() {
    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::MAX));
    let [one, other] = [(); 2].map(|()| Process::idle(&world, &provider, &PLAIN()));
    let refusal = SourceError {
        retry_after: Some(Duration::from_secs(40)),
        ..SourceError::new(SourceErrorKind::RateLimited, "too many")
    };
    provider.state.lock().refusal = Some(refusal);
    one.obtain(Cause::Due).await.unwrap_err();
    assert_eq!(other.obtain(Cause::Due).await.unwrap_err(), "too many");
    assert_eq!(provider.requests(), 1);
    // An operator may ask.
    assert_eq!(other.obtain(Cause::Requested).await.unwrap_err(), "too many");
    assert_eq!(provider.requests(), 2);
    tokio::time::sleep(Duration::from_secs(50)).await;
    provider.state.lock().refusal = None;
    assert_eq!(other.obtain(Cause::Due).await.unwrap().0, "1");
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_a_year_is_shared_for_an_hour_at_most() {
    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::ZERO));
    let one = Process::idle(&world, &provider, &PLAIN());
    let refusal = SourceError {
        retry_after: Some(Duration::from_secs(365 * 86_400)),
        ..SourceError::new(SourceErrorKind::RateLimited, "too many")
    };
    provider.state.lock().refusal = Some(refusal);
    one.obtain(Cause::Due).await.unwrap_err();
    provider.state.lock().refusal = None;
    tokio::time::sleep(HOUR + HOUR / 10).await;
    assert_eq!(one.obtain(Cause::Due).await.unwrap().0, "1");
}

#[tokio::test(start_paused = true)]
async fn damaged_record_is_replaced_unless_it_has_a_refresh_token() {
    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::MAX));
    let [one, other] = [(); 2].map(|()| Process::idle(&world, &provider, &PLAIN()));
    one.obtain(Cause::Due).await.unwrap();
    world.damage();
    assert_eq!(other.obtain(Cause::Due).await.unwrap().0, "2");

    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::ZERO));
    let [one, other] = [(); 2].map(|()| Process::idle(&world, &provider, &ROTATING()));
    one.obtain(Cause::Due).await.unwrap();
    world.damage();
    let error = other.obtain(Cause::Due).await.unwrap_err();
    assert!(error.contains("cannot be read") && error.contains(one.shared.names.shown()), "{error}");
    assert_eq!((provider.requests(), world.records()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn record_of_another_key_is_left_alone() {
    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::ZERO));
    let with =
        |keys: &[&'static str]| Process::idle(&world, &provider, &Kind { keys: keys.to_vec(), ..ROTATING() });
    // Keys are rotated in three steps. At each of them processes of both configurations run.
    let steps = [with(&["old"]), with(&["old", "new"]), with(&["new", "old"]), with(&["new"])];
    for (index, process) in steps.iter().enumerate() {
        assert_eq!(process.obtain(Cause::Due).await.unwrap().0, format!("{}", index + 1));
        // The next one writes it under its own names as well.
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(process.obtain(Cause::Requested).await.unwrap().0, format!("{}", index + 2));
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    // A process without the new key can neither read nor spend anything.
    let error = with(&["old"]).obtain(Cause::Due).await.unwrap_err();
    assert!(error.contains("another key"), "{error}");
    assert_eq!(provider.reused(), Vec::<u64>::new());
}

#[tokio::test(start_paused = true)]
async fn refresh_token_waits_for_the_store_unless_told_otherwise() {
    for spends_alone in [false, true] {
        let (world, provider) = (World::new(), Provider::new(HOUR, Duration::ZERO));
        let process = Process::idle(&world, &provider, &Kind { spends_alone, ..ROTATING() });
        process.obtain(Cause::Due).await.unwrap();
        world.go_down();
        let outcome = process.obtain(Cause::Due).await;
        assert_eq!((outcome.is_ok(), provider.requests()), (spends_alone, 1 + usize::from(spends_alone)));
        assert_eq!(process.shared.risk.get().is_some(), spends_alone, "it is in memory only");
        world.come_up();
        tokio::time::sleep(Duration::from_secs(5)).await;
        if spends_alone {
            let other = Process::idle(&world, &provider, &ROTATING());
            assert_eq!(other.obtain(Cause::Due).await.unwrap().0, "2", "the store has got it");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answer_that_cannot_be_written_is_written_later() {
    let (world, provider) = (World::new(), Provider::new(HOUR, Duration::ZERO));
    *provider.slowest.lock() = Duration::from_secs(4);
    let [one, other] = [(); 2].map(|()| Process::idle(&world, &provider, &ROTATING()));
    let (came, ()) = tokio::join!(one.obtain(Cause::Due), async {
        while provider.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.go_down();
    });
    assert_eq!(came.unwrap().0, "1");
    assert!(one.shared.risk.get().unwrap().contains("in memory only"));
    // Whatever is locked has ended meanwhile.
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.come_up();
    let began = Instant::now();
    assert_eq!(other.obtain(Cause::Due).await.unwrap().0, "1");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((provider.requests(), one.shared.risk.get()), (1, None));
}
