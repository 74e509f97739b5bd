//! Obtains, renews and drops the tokens of callers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::cache::Cache;
use super::caller_token::CallerToken;
use super::subject::{Presenter, Subject, SubjectId};
use super::turns::Turns;
use super::unavailable::{Unavailable, is_of_subject};
use crate::config::CallerTokenLimits;
use crate::metrics::{CallerTokenEnd, SharedTokenMetrics};
use crate::oauth2::token::AccessToken;
use crate::refresh::schedule;
use crate::refresh::{ClockReading, Expiry, SourceError, SourceErrorKind};
use crate::secret::{Secret, SigningError};

/// The time for which a caller gets the same answer after the token endpoint has refused its token: it cannot make Sidekey send one
/// token request after another.
const REFUSED_TIME: Duration = Duration::from_secs(10);
/// The time for which a caller gets the same answer after the token endpoint has failed.
const FAILING_TIME: Duration = Duration::from_secs(1);
/// The longest `Retry-After` of a token endpoint that is respected for one caller.
const MAX_FAILING_TIME: Duration = Duration::from_secs(60);
/// The number of tokens of one caller that may wait for one token request that runs.
const WAITING_PER_REQUEST: usize = 16;
/// The longest lifetime of a caller's token that counts.
const LONGEST_SUBJECT: Duration = Duration::from_secs(365 * 24 * 3600);
/// How often tokens that have ended are dropped.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// The time in which the log repeats no failure of the same class.
const REPEAT_INTERVAL: Duration = Duration::from_secs(60);

/// Requests a token with the token of a caller.
#[async_trait]
pub trait Exchange: Send + Sync {
    /// Makes one token request. Limits itself how long that takes. The text of an error has no token, whatever was answered.
    async fn request(&self, subject: &Secret) -> Result<AccessToken, SourceError>;
}

/// The tokens of the callers of one credential.
pub struct CallerTokens {
    /// The key of the hashes by which tokens are found: random, and of this process alone.
    key: hmac::Key,
    limits: CallerTokenLimits,
    /// The shortest time between two token requests because of rejections by the upstream, for one caller.
    min_interval: Duration,
    metrics: SharedTokenMetrics,
    state: Mutex<State>,
    jobs: mpsc::UnboundedSender<Job>,
    /// Taken by [`run`](Self::run).
    queue: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
}

struct State {
    cache: Cache,
    /// The token requests that wait or run: one for each token of a caller.
    pending: HashMap<SubjectId, watch::Receiver<Progress>>,
    /// The number of pending token requests of each presenter.
    places: HashMap<Presenter, usize>,
}

impl State {
    /// Whether a caller has a place for one more token request. It has `most`, and half of what others leave of twice as many: a caller
    /// that takes all that it gets leaves places to others.
    fn has_place(&self, presenter: Presenter, most: usize) -> bool {
        let own = self.places.get(&presenter).copied().unwrap_or_default();
        let others = self.pending.len().saturating_sub(own);
        own < most && own < (2 * most).saturating_sub(others).div_ceil(2)
    }

    /// Frees the place of a token request that has ended.
    fn ended(&mut self, id: &SubjectId, presenter: Presenter) {
        self.pending.remove(id);
        if let Some(own) = self.places.get_mut(&presenter) {
            *own -= 1;
            if *own == 0 {
                self.places.remove(&presenter);
            }
        }
    }
}

/// How a token request ended; `None` while it has not.
type Progress = Option<Result<(), Unavailable>>;

/// A token request to make.
struct Job {
    id: SubjectId,
    subject: Secret,
    presenter: Presenter,
    subject_end: Option<Expiry>,
    progress: watch::Sender<Progress>,
}

impl CallerTokens {
    /// An empty cache. Nothing is requested before [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// If the system gives no random numbers.
    pub fn new(
        limits: CallerTokenLimits,
        min_interval: Duration,
        metrics: SharedTokenMetrics,
    ) -> Result<Self, SigningError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let (jobs, queue) = mpsc::unbounded_channel();
        Ok(Self {
            key: key.map_err(|_| SigningError)?,
            state: Mutex::new(State {
                cache: Cache::new(limits.max_entries),
                pending: HashMap::new(),
                places: HashMap::new(),
            }),
            limits,
            min_interval,
            metrics,
            jobs,
            queue: Mutex::new(Some(queue)),
        })
    }

    /// The number of tokens that are held.
    pub fn held(&self) -> usize {
        self.state.lock().cache.len()
    }

    /// The largest number of tokens that are held.
    pub fn max(&self) -> usize {
        self.limits.max_entries
    }

    /// The token to send for a caller; `None` if there is none yet. If it is due, it is renewed meanwhile.
    pub fn current(&self, subject: &Subject) -> Option<Arc<CallerToken>> {
        let id = subject.id(&self.key);
        let mut state = self.state.lock();
        let token = state.cache.token(&id)?;
        if token.renewal.is_past() && state.cache.failure(&id).is_none() {
            // Whatever comes of it, this request has its token.
            let _ = self.join_or_start(&mut state, id, subject);
        }
        drop(state);
        subject.set_used(token.clone());
        Some(token)
    }

    /// Waits until there is a token for a caller, `limit` at most.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn obtain(&self, subject: &Subject, limit: Duration) -> Result<(), Unavailable> {
        let progress = {
            let id = subject.id(&self.key);
            let mut state = self.state.lock();
            if state.cache.token(&id).is_some() {
                return Ok(());
            }
            if let Some(why) = state.cache.failure(&id) {
                return Err(why);
            }
            self.join_or_start(&mut state, id, subject)?
        };
        wait(progress, limit).await
    }

    /// Requests a token newer than the one of the number `rejected`, which the upstream has rejected, and waits for it, `limit` at
    /// most. Returns whether there is one.
    pub async fn renew(&self, subject: &Subject, rejected: u64, limit: Duration) -> bool {
        let progress = {
            let id = subject.id(&self.key);
            let mut state = self.state.lock();
            if state.cache.token(&id).is_some_and(|token| token.generation > rejected) {
                return true;
            }
            let is_pending = state.pending.contains_key(&id);
            if state.cache.failure(&id).is_some()
                || !is_pending && !state.cache.may_force(&id, self.min_interval)
            {
                return false;
            }
            self.join_or_start(&mut state, id, subject)
        };
        let Ok(progress) = progress else { return false };
        wait(progress, limit).await.is_ok()
    }

    /// Joins the token request of a caller, or starts one.
    fn join_or_start(
        &self,
        state: &mut State,
        id: SubjectId,
        subject: &Subject,
    ) -> Result<watch::Receiver<Progress>, Unavailable> {
        if let Some(pending) = state.pending.get(&id) {
            return Ok(pending.clone());
        }
        let subject_end = subject.end().map(|end| Expiry::until(end, LONGEST_SUBJECT));
        if subject_end.is_some_and(|end| end.is_past()) {
            return Err(Unavailable::Refused);
        }
        let presenter = subject.presenter();
        if !state.has_place(presenter, self.limits.max_requests * (1 + WAITING_PER_REQUEST)) {
            return Err(Unavailable::Overloaded);
        }
        let (progress, receiver) = watch::channel(None);
        let job = Job { id, subject: subject.token().clone(), presenter, subject_end, progress };
        // Fails if the credential is not used any more.
        self.jobs.send(job).map_err(|_| Unavailable::Failing { retry_after: FAILING_TIME })?;
        state.pending.insert(id, receiver.clone());
        *state.places.entry(presenter).or_default() += 1;
        Ok(receiver)
    }

    /// Makes token requests, and drops tokens that have ended. Never returns. `services` are those that use the tokens, for the log.
    pub async fn run(self: Arc<Self>, services: String, exchange: Arc<dyn Exchange>) {
        let Some(mut queue) = self.queue.lock().take() else { return };
        for reason in CallerTokenEnd::ALL {
            self.metrics.caller_tokens_ended(reason, 0);
        }
        let log = Arc::new(FailureLog { services, last: Mutex::default() });
        let (mut requests, mut running) = (JoinSet::new(), HashMap::new());
        let mut turns = Turns::new(self.limits.max_requests);
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(job) = queue.recv() => turns.push(job.presenter, job),
                Some(ended) = requests.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    if let Some(presenter) = running.remove(&id) {
                        turns.end(presenter);
                    }
                }
                _ = sweep.tick() => {
                    let ended = self.state.lock().cache.sweep();
                    self.metrics.caller_tokens_ended(CallerTokenEnd::Expired, ended);
                }
            }
            while let Some((presenter, job)) = turns.start() {
                let (tokens, exchange, log) = (self.clone(), exchange.clone(), log.clone());
                let task = requests.spawn(async move { tokens.make(job, exchange, &log).await });
                running.insert(task.id(), presenter);
            }
        }
    }

    /// Makes one token request.
    async fn make(&self, job: Job, exchange: Arc<dyn Exchange>, log: &FailureLog) {
        let Job { id, subject, presenter, subject_end, progress } = job;
        // In a task of its own: a panic in it is a failure like any other.
        let requested =
            tokio::spawn(async move { exchange.request(&subject).await }).await.unwrap_or_else(|_| {
                Err(SourceError::new(
                    SourceErrorKind::Malformed,
                    "the token request broke off inside Sidekey",
                ))
            });
        let outcome = {
            let mut state = self.state.lock();
            state.ended(&id, presenter);
            match requested.and_then(check_lifetime) {
                Ok((token, left)) => {
                    let renewal =
                        Expiry::after(ClockReading::now(), schedule::refresh_in(left, fastrand::f64()));
                    let generation = state.cache.next_generation();
                    let token = CallerToken::new(token, generation, subject_end, renewal);
                    let evicted = state.cache.keep(id, presenter, token);
                    if evicted > 0 {
                        self.metrics.caller_tokens_ended(CallerTokenEnd::Evicted, evicted);
                    }
                    Ok(())
                }
                Err(error) => Err(self.fail(&mut state.cache, id, &error, log)),
            }
        };
        progress.send_replace(Some(outcome));
    }

    /// Records a token request that has failed.
    fn fail(&self, cache: &mut Cache, id: SubjectId, error: &SourceError, log: &FailureLog) -> Unavailable {
        if is_of_subject(error) {
            tracing::debug!(sidekey.service = log.services, "the caller's token was refused: {error}");
            if cache.fail(id, Unavailable::Refused, REFUSED_TIME) {
                self.metrics.caller_tokens_ended(CallerTokenEnd::Refused, 1);
            }
            return Unavailable::Refused;
        }
        log.report(error);
        let time = error.retry_after.unwrap_or(FAILING_TIME).clamp(FAILING_TIME, MAX_FAILING_TIME);
        let why = Unavailable::Failing { retry_after: time };
        cache.fail(id, why, time);
        why
    }
}

/// The token with what is left of its lifetime, which must be something.
fn check_lifetime(token: AccessToken) -> Result<(AccessToken, Duration), SourceError> {
    let left = token.expiry.remaining();
    if left.is_zero() {
        return Err(SourceError::new(
            SourceErrorKind::Malformed,
            "the new token had expired before it arrived",
        ));
    }
    Ok((token, left))
}

/// Waits for the end of a token request, `limit` at most.
async fn wait(mut progress: watch::Receiver<Progress>, limit: Duration) -> Result<(), Unavailable> {
    let failing = Unavailable::Failing { retry_after: FAILING_TIME };
    let ended = tokio::time::timeout(limit, progress.wait_for(Option::is_some)).await;
    match ended {
        Ok(Ok(outcome)) => outcome.unwrap_or(Err(failing)),
        // The time is over, or the credential is not used any more.
        Ok(Err(_)) | Err(_) => Err(failing),
    }
}

/// Logs failures of the token endpoint: one event for each class in a time.
struct FailureLog {
    services: String,
    last: Mutex<Option<(SourceErrorKind, Instant)>>,
}

impl FailureLog {
    fn report(&self, error: &SourceError) {
        let mut last = self.last.lock();
        if last.is_some_and(|(kind, at)| kind == error.kind && at.elapsed() < REPEAT_INTERVAL) {
            return;
        }
        *last = Some((error.kind, Instant::now()));
        tracing::warn!(
            sidekey.service = self.services,
            token.reason = error.kind.as_str(),
            "no token for a caller could be obtained: {error}"
        );
    }
}

#[cfg(test)]
mod tests;
