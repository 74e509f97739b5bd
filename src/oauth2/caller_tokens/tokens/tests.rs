use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore as Gate;

use super::*;
use crate::config::auth::placement::Placement;
use crate::oauth2::token::IssuedToken;
use crate::refresh::ErrorCode;

/// Issues `for-SUBJECT-N` for each subject, N being the number of the request.
struct Issuer {
    requests: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
    gate: Gate,
    lifetime: Mutex<Duration>,
    error: Mutex<Option<SourceError>>,
}

#[async_trait]
impl Exchange for Issuer {
    async fn request(&self, subject: &Secret) -> Result<AccessToken, SourceError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let _ = self.gate.acquire().await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        if let Some(error) = self.error.lock().clone() {
            return Err(error);
        }
        assert_ne!(subject.expose(), "panic", "the issuer panics");
        let issued = IssuedToken {
            value: Secret::new(format!("for-{}-{number}", subject.expose())).unwrap(),
            expiry: Expiry::after(ClockReading::now(), *self.lifetime.lock()),
            scope: None,
        };
        Ok(AccessToken::new(&issued, None, &Placement::bearer()).unwrap())
    }
}

struct Setup {
    tokens: Arc<CallerTokens>,
    issuer: Arc<Issuer>,
}

const LIMIT: Duration = Duration::from_secs(5);

/// `is_open` says whether token requests end by themselves.
fn setup(max_entries: usize, max_requests: usize, is_open: bool) -> Setup {
    let limits = CallerTokenLimits { max_entries, max_requests };
    let tokens = CallerTokens::new(limits, Duration::from_secs(5), SharedTokenMetrics::default()).unwrap();
    let tokens = Arc::new(tokens);
    let issuer = Arc::new(Issuer {
        requests: AtomicUsize::default(),
        running: AtomicUsize::default(),
        most: AtomicUsize::default(),
        gate: Gate::new(if is_open { 10_000 } else { 0 }),
        lifetime: Mutex::new(Duration::from_secs(100)),
        error: Mutex::default(),
    });
    tokio::spawn(tokens.clone().run("api".into(), issuer.clone()));
    Setup { tokens, issuer }
}

fn subject(token: &str) -> Subject {
    Subject::new(token.as_bytes()).unwrap()
}

impl Setup {
    /// What is sent for a caller.
    async fn sent(&self, token: &str) -> Result<String, Unavailable> {
        let subject = subject(token);
        if self.tokens.current(&subject).is_none() {
            self.tokens.obtain(&subject, LIMIT).await?;
        }
        let token = self.tokens.current(&subject).expect("a token was obtained");
        Ok(token.placed.to_str().unwrap().to_owned())
    }

    fn requests(&self) -> usize {
        self.issuer.requests.load(Ordering::SeqCst)
    }
}

fn refused() -> SourceError {
    SourceError {
        code: Some(ErrorCode::InvalidGrant),
        ..SourceError::new(SourceErrorKind::Refused, "the token endpoint answered 400")
    }
}

#[tokio::test(start_paused = true)]
async fn callers_get_tokens_of_their_own() {
    let setup = setup(100, 4, true);
    let all = (0..50).map(|number| setup.sent(["alice", "bob"][number % 2].to_owned().leak()));
    for (number, sent) in futures_util::future::join_all(all).await.into_iter().enumerate() {
        let (sent, name) = (sent.unwrap(), ["alice", "bob"][number % 2]);
        assert!(sent.starts_with(&format!("Bearer for-{name}-")), "{name}: {sent}");
    }
    assert_eq!((setup.requests(), setup.tokens.held()), (2, 2), "one token request for each caller");
}

#[tokio::test(start_paused = true)]
async fn token_requests_are_limited_and_so_is_their_queue() {
    let setup = setup(1000, 2, false);
    let waiting = 2 * (1 + WAITING_PER_REQUEST);
    let subjects: Vec<_> = (0..=waiting).map(|number| subject(&format!("caller-{number}"))).collect();
    let obtaining = subjects.iter().map(|subject| setup.tokens.obtain(subject, LIMIT));
    let outcomes = futures_util::future::join_all(obtaining).await;
    assert_eq!(outcomes[waiting], Err(Unavailable::Overloaded), "the queue is full");
    assert_eq!(outcomes[0], Err(Unavailable::Failing { retry_after: FAILING_TIME }), "the time is over");
    assert_eq!((setup.requests(), setup.issuer.most.load(Ordering::SeqCst)), (2, 2));
    setup.issuer.gate.add_permits(10_000);
    assert!(setup.sent("caller-9").await.is_ok(), "the request that waited is still made");
    assert!(setup.issuer.most.load(Ordering::SeqCst) <= 2);
}

#[tokio::test(start_paused = true)]
async fn caller_that_fills_its_places_leaves_some_to_others() {
    let setup = setup(1000, 2, false);
    let places = 2 * (1 + WAITING_PER_REQUEST);
    let of = |caller: usize, number: usize| {
        subject(&format!("{caller}-{number}")).presented_by(Presenter::Caller(Some(caller)))
    };
    let subjects: Vec<_> =
        (0..3).flat_map(|caller| (0..places).map(move |number| of(caller, number))).collect();
    let outcomes =
        futures_util::future::join_all(subjects.iter().map(|one| setup.tokens.obtain(one, LIMIT))).await;
    let taken = |caller: usize| {
        let own = &outcomes[caller * places..(caller + 1) * places];
        own.iter().filter(|outcome| **outcome != Err(Unavailable::Overloaded)).count()
    };
    assert_eq!([taken(0), taken(1), taken(2)], [places, places / 2, places / 4 + 1]);
    setup.issuer.gate.add_permits(10_000);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(setup.tokens.state.lock().places.is_empty(), "every place is free again");
}

#[tokio::test(start_paused = true)]
async fn refusal_is_remembered_for_a_short_time() {
    let setup = setup(10, 4, true);
    *setup.issuer.error.lock() = Some(refused());
    for _ in 0..20 {
        assert_eq!(setup.sent("mallory").await, Err(Unavailable::Refused));
    }
    assert_eq!(setup.requests(), 1);
    *setup.issuer.error.lock() = None;
    assert!(setup.sent("alice").await.is_ok(), "another caller");
    tokio::time::advance(REFUSED_TIME).await;
    assert!(setup.sent("mallory").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn failing_endpoint_keeps_the_token_that_is_held() {
    let setup = setup(10, 4, true);
    let first = setup.sent("alice").await.unwrap();
    let down = SourceError::new(SourceErrorKind::Connect, "down");
    *setup.issuer.error.lock() = Some(SourceError { retry_after: Some(Duration::from_secs(7)), ..down });
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!(setup.sent("alice").await, Ok(first.clone()), "it is due, and sent all the same");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(setup.requests(), 2);
    assert_eq!(setup.sent("alice").await, Ok(first), "no further request within Retry-After");
    assert_eq!(setup.requests(), 2);
    let outcome = setup.sent("bob").await;
    assert_eq!(outcome, Err(Unavailable::Failing { retry_after: Duration::from_secs(7) }));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(setup.sent("alice").await.is_err(), "it has expired");
    *setup.issuer.error.lock() = None;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(setup.sent("alice").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn token_is_renewed_before_it_expires_without_a_wait() {
    let setup = setup(10, 4, true);
    let first = setup.sent("alice").await.unwrap();
    tokio::time::advance(Duration::from_secs(50)).await;
    assert_eq!(setup.sent("alice").await.unwrap(), first);
    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(setup.sent("alice").await.unwrap(), first, "the request that finds it due does not wait");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(setup.sent("alice").await.unwrap(), "Bearer for-alice-2");
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(setup.tokens.held(), 0, "a token that has expired is dropped");
}

#[tokio::test(start_paused = true)]
async fn rejection_renews_the_token_of_one_caller() {
    let setup = setup(10, 4, true);
    let (alice, bob) = (setup.sent("alice").await.unwrap(), setup.sent("bob").await.unwrap());
    let rejected = setup.tokens.current(&subject("alice")).unwrap().generation;
    let (one, other) = (subject("alice"), subject("alice"));
    let renewed =
        tokio::join!(setup.tokens.renew(&one, rejected, LIMIT), setup.tokens.renew(&other, rejected, LIMIT));
    assert_eq!((renewed, setup.requests()), ((true, true), 3), "one token request for both");
    assert_ne!(setup.sent("alice").await.unwrap(), alice);
    assert_eq!(setup.sent("bob").await.unwrap(), bob);
    assert!(setup.tokens.renew(&one, rejected, LIMIT).await, "there is a newer one already");
    let rejected = setup.tokens.current(&one).unwrap().generation;
    assert!(!setup.tokens.renew(&one, rejected, LIMIT).await, "once per interval");
    assert_eq!(setup.requests(), 3);
    *setup.issuer.error.lock() = Some(refused());
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(!setup.tokens.renew(&one, rejected, LIMIT).await);
    assert_eq!(setup.sent("alice").await, Err(Unavailable::Refused), "a revoked token is not sent again");
    assert_eq!(setup.sent("bob").await.unwrap(), bob);
}

#[tokio::test(start_paused = true)]
async fn panic_of_a_token_request_is_a_failure() {
    let setup = setup(10, 1, true);
    assert_eq!(setup.sent("panic").await, Err(Unavailable::Failing { retry_after: FAILING_TIME }));
    assert!(setup.sent("alice").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn end_of_the_credential_ends_the_wait() {
    let limits = CallerTokenLimits { max_entries: 10, max_requests: 2 };
    let tokens = CallerTokens::new(limits, LIMIT, SharedTokenMetrics::default()).unwrap();
    drop(tokens.queue.lock().take());
    let outcome = tokens.obtain(&subject("alice"), LIMIT).await;
    assert_eq!(outcome, Err(Unavailable::Failing { retry_after: FAILING_TIME }));
}
