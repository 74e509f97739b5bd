//! A token endpoint in a world of faults.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::test_clock;
use crate::config::auth::placement::Placement;
use crate::oauth2::{AccessToken, IssuedToken};
use crate::refresh::schedule::usable_for;
use crate::refresh::{ClockReading, Expiry, Source, SourceError, SourceErrorKind};
use crate::secret::Secret;
use crate::simulation::Promises;

/// The shortest wait after a failure.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// The interval between two refreshes that rejections force.
pub(super) const MIN_FORCED_INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait after a failure that asked for none, and after one that did.
const MAX_TRANSIENT_WAIT: Duration = Duration::from_secs(60);
const MAX_REFUSED_WAIT: Duration = Duration::from_secs(300);
/// The longest time that an answer takes.
const MAX_LATENCY: Duration = Duration::from_secs(4);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What the endpoint does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    Healthy,
    /// Answers late.
    Slow,
    /// No answer, or one of these errors.
    Failing(SourceErrorKind),
    /// 429 with `Retry-After`.
    Limited(Duration),
    /// Tokens that are over when they arrive.
    Stale,
}

/// A token as the endpoint knows it.
#[derive(Clone, Copy)]
struct Token {
    /// When Sidekey may use it until.
    usable_until: (Instant, SystemTime),
    /// When it is over.
    ends: (Instant, SystemTime),
    lifetime: Duration,
    issued: Instant,
    is_revoked: bool,
}

/// The last attempt that failed.
#[derive(Clone, Copy)]
struct FailedAttempt {
    at: Instant,
    wait: Duration,
    longest_wait: Duration,
}

/// The world of one run.
pub(super) struct World {
    pub(super) random: Rng,
    pub(super) promises: Promises,
    pub(super) mood: Mood,
    /// Whether the upstream rejects whatever it gets.
    pub(super) rejects_all: bool,
    lifetime: Duration,
    latency: Duration,
    tokens: Vec<Token>,
    /// The client secret that the endpoint accepts, and the one that the configuration has.
    accepted_secret: u32,
    configured_secret: u32,
    /// Since when a token request would succeed.
    healthy_since: Option<Instant>,
    /// Number of the credential: each reload that changes it makes a new store and a new refresher.
    incarnation: u32,
    /// The first token of this credential.
    first_token: usize,
    failed: Option<FailedAttempt>,
    /// Why a token request may be made before it is due.
    may_be_early: bool,
    /// Whether the upstream has rejected the current token, so that another one may be requested.
    is_rejected: bool,
    /// When a rejection last led to a token request.
    last_forced: Option<Instant>,
}

fn now() -> (Instant, SystemTime) {
    (Instant::now(), test_clock::now())
}

/// Whether both clocks are before these times.
fn is_before((monotonic, wall): (Instant, SystemTime)) -> bool {
    let now = now();
    now.0 < monotonic && now.1 < wall
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            promises: Promises::default(),
            mood: Mood::Healthy,
            rejects_all: false,
            lifetime: Duration::from_secs(3600),
            latency: Duration::from_millis(50),
            tokens: Vec::new(),
            accepted_secret: 0,
            configured_secret: 0,
            healthy_since: Some(Instant::now()),
            incarnation: 0,
            first_token: 0,
            failed: None,
            may_be_early: false,
            is_rejected: false,
            last_forced: None,
        }
    }

    /// Chooses what the endpoint does from now on.
    pub(super) fn change_mood(&mut self) {
        use SourceErrorKind::{Connect, Local, Malformed, Refused, ServerError, Timeout, Tls};
        let failures = [Connect, Local, Malformed, Refused, ServerError, Timeout, Tls];
        self.mood = match self.random.u32(0..10) {
            0..5 => Mood::Healthy,
            5 => Mood::Slow,
            6..8 => Mood::Failing(failures[self.random.usize(0..failures.len())]),
            8 => Mood::Limited(Duration::from_secs(self.random.u64(1..8000))),
            _ => Mood::Stale,
        };
        let millis = if self.mood == Mood::Slow { 500..4000 } else { 1..300 };
        self.latency = Duration::from_millis(self.random.u64(millis));
        let lifetimes = [20, 60, 300, 900, 3600, 14_400, 86_400];
        self.lifetime = Duration::from_secs(lifetimes[self.random.usize(0..lifetimes.len())]);
        self.promises.seen(if self.is_healthy() { "healthy phases" } else { "faults" });
        self.note_health();
    }

    fn is_healthy(&self) -> bool {
        matches!(self.mood, Mood::Healthy | Mood::Slow) && self.accepted_secret == self.configured_secret
    }

    fn note_health(&mut self) {
        let is_healthy = self.is_healthy();
        self.healthy_since = if is_healthy { self.healthy_since.or(Some(Instant::now())) } else { None };
    }

    /// The endpoint accepts another secret from now on.
    pub(super) fn rotate_secret(&mut self) {
        self.accepted_secret += 1;
        self.promises.seen("rotations");
        self.note_health();
    }

    /// The configuration has the secret of the endpoint from now on.
    pub(super) fn reload_secret(&mut self) {
        self.configured_secret = self.accepted_secret;
        self.may_be_early = true;
        self.note_health();
    }

    /// A clock was set: a token that is under way may be over when it arrives.
    pub(super) fn clock_set(&mut self) {
        self.promises.seen("clocks set");
        self.may_be_early = true;
        self.healthy_since = None;
        self.note_health();
    }

    /// A token request may come before it is due: an operator has asked for it.
    pub(super) fn allow_early_request(&mut self) {
        self.may_be_early = true;
    }

    /// A reload has changed the credential: nothing of the old one counts.
    pub(super) fn next_incarnation(&mut self) -> u32 {
        self.incarnation += 1;
        self.first_token = self.tokens.len();
        self.failed = None;
        self.last_forced = None;
        self.is_rejected = false;
        self.healthy_since = None;
        self.note_health();
        self.promises.seen("reloads");
        self.incarnation
    }

    /// The upstream knows none of the tokens any more.
    pub(super) fn revoke_all(&mut self) {
        self.tokens.iter_mut().for_each(|token| token.is_revoked = true);
        self.promises.seen("revocations");
    }

    /// Whether the upstream accepts what a request was sent with, which must be a token that is not over.
    pub(super) fn accepts(&mut self, authorization: Option<&str>) -> bool {
        self.promises.seen("requests");
        let number =
            authorization.and_then(|value| value.strip_prefix("Bearer token-")?.parse::<usize>().ok());
        let Some(token) = number.and_then(|number| self.tokens.get(number).copied()) else {
            self.promises.broken("a request is never bare", || format!("{authorization:?}"));
            return false;
        };
        if !is_before(token.ends) {
            self.promises.broken("an expired token is never sent", || format!("token {number:?}"));
        }
        let is_accepted = !token.is_revoked && !self.rejects_all;
        let is_current = number == self.tokens.len().checked_sub(1);
        let is_due = self.last_forced.is_none_or(|last| last.elapsed() >= MIN_FORCED_INTERVAL);
        // The pause after a failure is not ended by a rejection.
        let is_due = is_due && self.failed.is_none();
        self.is_rejected |= !is_accepted && is_current && is_due;
        is_accepted
    }

    /// Records a request that was answered with 503, because there is no token.
    pub(super) fn unserved(&mut self) {
        self.promises.seen("answers without a token");
        let tokens = self.tokens[self.first_token..].last();
        if tokens.is_some_and(|token| token.issued < Instant::now() && is_before(token.usable_until)) {
            self.promises.broken("a token that is good is used", || format!("{:?}", self.mood));
        }
        let longest = self.failed.map_or(Duration::ZERO, |failed| failed.longest_wait);
        let bound = longest + 2 * self.latency + Duration::from_secs(1);
        if let Some(since) = self.healthy_since.filter(|since| since.elapsed() > bound) {
            self.promises.broken("a fault that is over is over for requests", || {
                format!("healthy for {:?}, and {bound:?} at most were to be waited", since.elapsed())
            });
        }
    }

    /// A token request begins.
    fn begin(&mut self, incarnation: u32) {
        self.promises.seen("token requests");
        if incarnation != self.incarnation {
            self.promises.broken("a credential that is gone requests nothing", String::new);
            return;
        }
        let (may_be_early, is_rejected) =
            (std::mem::take(&mut self.may_be_early), std::mem::take(&mut self.is_rejected));
        if may_be_early {
            return;
        }
        if let Some(failed) = self.failed {
            if failed.at.elapsed() < failed.wait {
                self.promises.broken("a failure is followed by a pause", || {
                    format!("{:?} after it, {:?} were asked for", failed.at.elapsed(), failed.wait)
                });
            }
        } else if let Some((left, lifetime)) = self.young_token() {
            // A rejection is a reason as well, once in an interval.
            if is_rejected {
                self.last_forced = Some(Instant::now());
            } else {
                self.promises.broken("a token is not replaced while it is young", || {
                    format!("{left:?} of {lifetime:?} were left")
                });
            }
        }
    }

    /// What is left of the current token, and its lifetime, if it is not to be replaced yet.
    fn young_token(&self) -> Option<(Duration, Duration)> {
        let token = self.tokens[self.first_token..].last()?;
        let left = token.usable_until.0.saturating_duration_since(Instant::now());
        // A slow endpoint is asked earlier.
        let is_young = left > token.lifetime.mul_f64(0.3) + 8 * MAX_LATENCY;
        is_young.then_some((left, token.lifetime))
    }

    fn answer(&mut self, sent: ClockReading) -> Result<AccessToken, SourceError> {
        // A rejection meanwhile has joined this request.
        self.is_rejected = false;
        let failure = match self.mood {
            Mood::Failing(kind) => Some(SourceError::new(kind, "a fault")),
            Mood::Limited(wait) => Some(SourceError {
                retry_after: Some(wait),
                ..SourceError::new(SourceErrorKind::RateLimited, "too many requests")
            }),
            _ if self.accepted_secret != self.configured_secret => {
                Some(SourceError::new(SourceErrorKind::Refused, "invalid_client"))
            }
            Mood::Healthy | Mood::Slow | Mood::Stale => None,
        };
        let at = Instant::now();
        if let Some(error) = failure {
            let wait = error.retry_after.map_or(MIN_BACKOFF, |wait| wait.min(MAX_RETRY_AFTER));
            let longest_wait = match (error.retry_after, error.kind.needs_intervention()) {
                (Some(wait), _) => wait.min(MAX_RETRY_AFTER).mul_f64(1.1).max(MAX_TRANSIENT_WAIT),
                (None, true) => MAX_REFUSED_WAIT,
                (None, false) => MAX_TRANSIENT_WAIT,
            };
            self.failed = Some(FailedAttempt { at, wait, longest_wait });
            return Err(error);
        }
        let lifetime = if self.mood == Mood::Stale { self.latency / 2 } else { self.lifetime };
        let usable = Expiry::after(sent, usable_for(lifetime));
        // It is over when it arrives: by what the endpoint says, or because a clock was set meanwhile.
        let value = if usable.is_past() {
            self.failed = Some(FailedAttempt { at, wait: MIN_BACKOFF, longest_wait: MAX_TRANSIENT_WAIT });
            "stale".to_owned()
        } else {
            self.failed = None;
            let (start, left) = (now(), usable.remaining());
            self.tokens.push(Token {
                usable_until: (at + left, start.1 + left),
                ends: (start.0 + lifetime, start.1 + lifetime),
                lifetime,
                issued: at,
                is_revoked: false,
            });
            format!("token-{}", self.tokens.len() - 1)
        };
        let issued =
            IssuedToken { value: Secret::new(value).expect("a secret"), expiry: usable, scope: None };
        Ok(AccessToken::new(&issued, None, &Placement::bearer()).expect("a header"))
    }
}

/// The endpoint, as one credential asks it.
pub(super) struct Endpoint {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) incarnation: u32,
    pub(super) is_asked: Mutex<bool>,
}

#[async_trait]
impl Source<AccessToken> for Endpoint {
    async fn fetch(&self) -> Result<AccessToken, SourceError> {
        let sent = ClockReading::now();
        let latency = {
            let mut world = self.world.lock();
            world.begin(self.incarnation);
            if std::mem::replace(&mut *self.is_asked.lock(), true) {
                world.promises.broken("one token request at a time", String::new);
            }
            world.latency
        };
        tokio::time::sleep(latency).await;
        *self.is_asked.lock() = false;
        let mut world = self.world.lock();
        if self.incarnation == world.incarnation {
            world.answer(sent)
        } else {
            // The attempt of a credential that is gone: nobody uses what comes.
            Err(SourceError::new(SourceErrorKind::Connect, "gone"))
        }
    }
}
