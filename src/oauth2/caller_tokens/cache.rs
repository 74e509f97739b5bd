//! What is held for callers: tokens, and why there was none. Both are bounded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::caller_token::CallerToken;
use super::subject::{Presenter, SubjectId};
use super::unavailable::Unavailable;

/// The tokens of callers, and why there were none.
pub(super) struct Cache {
    max: usize,
    held: HashMap<SubjectId, Held>,
    failures: HashMap<SubjectId, Failure>,
    /// Grows with each use.
    uses: u64,
    generation: u64,
}

struct Held {
    token: Arc<CallerToken>,
    presenter: Presenter,
    last_use: u64,
    /// When it was last requested again because the upstream rejected it.
    forced: Option<Instant>,
}

struct Failure {
    why: Unavailable,
    until: Instant,
}

impl Cache {
    /// A cache of at most `max` tokens, and as many failures.
    pub(super) fn new(max: usize) -> Self {
        Self { max, held: HashMap::new(), failures: HashMap::new(), uses: 0, generation: 0 }
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The token for a caller, if it may still be sent. This is a use of it.
    pub(super) fn token(&mut self, id: &SubjectId) -> Option<Arc<CallerToken>> {
        self.uses += 1;
        let held = self.held.get_mut(id).filter(|held| held.token.is_usable())?;
        held.last_use = self.uses;
        Some(held.token.clone())
    }

    /// Why there was no token for a caller a short time ago.
    pub(super) fn failure(&self, id: &SubjectId) -> Option<Unavailable> {
        let failure = self.failures.get(id)?;
        let left = failure.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        Some(match failure.why {
            Unavailable::Failing { .. } => Unavailable::Failing { retry_after: left },
            other => other,
        })
    }

    /// Whether the token may be requested again because the upstream rejected it; at most once in `interval`.
    pub(super) fn may_force(&mut self, id: &SubjectId, interval: Duration) -> bool {
        let Some(held) = self.held.get_mut(id) else { return true };
        let is_early = held.forced.is_some_and(|last| last.elapsed() < interval);
        if !is_early {
            held.forced = Some(Instant::now());
        }
        !is_early
    }

    /// The number for the next token.
    pub(super) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Keeps a token. Returns the number of tokens that had to go for it.
    pub(super) fn keep(&mut self, id: SubjectId, presenter: Presenter, token: CallerToken) -> u64 {
        self.uses += 1;
        self.failures.remove(&id);
        let forced = self.held.get(&id).and_then(|held| held.forced);
        self.held.insert(id, Held { token: Arc::new(token), presenter, last_use: self.uses, forced });
        let mut evicted = 0;
        while self.held.len() > self.max {
            let Some(oldest) = self.oldest_of_most() else { break };
            self.held.remove(&oldest);
            evicted += 1;
        }
        evicted
    }

    /// Of the tokens of the caller that has the most, the one that was not used for the longest time: a caller with many takes the place
    /// of no other.
    fn oldest_of_most(&self) -> Option<SubjectId> {
        let mut counts: HashMap<Presenter, usize> = HashMap::new();
        for held in self.held.values() {
            *counts.entry(held.presenter).or_default() += 1;
        }
        let most = counts.values().max()?;
        let of_most = self.held.iter().filter(|(_, held)| counts[&held.presenter] == *most);
        of_most.min_by_key(|(_, held)| held.last_use).map(|(id, _)| *id)
    }

    /// Keeps a failure for this time. A refusal drops the token that there was: the caller's token is not valid any more. Returns
    /// whether there was one.
    pub(super) fn fail(&mut self, id: SubjectId, why: Unavailable, time: Duration) -> bool {
        if self.failures.len() >= self.max && !self.failures.contains_key(&id) {
            let first = self.failures.iter().min_by_key(|(_, failure)| failure.until).map(|(id, _)| *id);
            first.map(|first| self.failures.remove(&first));
        }
        self.failures.insert(id, Failure { why, until: Instant::now() + time });
        why == Unavailable::Refused && self.held.remove(&id).is_some()
    }

    /// Drops what has ended. Returns the number of tokens.
    pub(super) fn sweep(&mut self) -> u64 {
        let before = self.held.len();
        self.held.retain(|_, held| held.token.is_usable());
        let now = Instant::now();
        self.failures.retain(|_, failure| failure.until > now);
        (before - self.held.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::auth::placement::Placement;
    use crate::oauth2::token::{AccessToken, IssuedToken};
    use crate::refresh::{ClockReading, Expiry};
    use crate::secret::Secret;

    fn seconds(count: u64) -> Expiry {
        Expiry::after(ClockReading::now(), Duration::from_secs(count))
    }

    fn token(cache: &mut Cache, lifetime: u64, subject: Option<u64>) -> CallerToken {
        let issued = IssuedToken {
            value: Secret::new("CANARY-token".into()).unwrap(),
            expiry: seconds(lifetime),
            scope: None,
        };
        let token = AccessToken::new(&issued, None, &Placement::bearer()).unwrap();
        CallerToken::new(token, cache.next_generation(), subject.map(seconds), seconds(lifetime))
    }

    fn keep(cache: &mut Cache, id: u8) -> u64 {
        let token = token(cache, 100, None);
        cache.keep([id; 32], Presenter::Anybody, token)
    }

    #[tokio::test(start_paused = true)]
    async fn token_that_was_not_used_longest_is_evicted() {
        let mut cache = Cache::new(2);
        assert_eq!((keep(&mut cache, 1), keep(&mut cache, 2)), (0, 0));
        assert!(cache.token(&[1; 32]).is_some());
        assert_eq!((keep(&mut cache, 3), cache.len()), (1, 2));
        assert!(cache.token(&[2; 32]).is_none(), "the least recently used one");
        assert!(cache.token(&[1; 32]).is_some() && cache.token(&[3; 32]).is_some());
        assert_eq!(keep(&mut cache, 3), 0, "a renewed token takes no place");
    }

    #[tokio::test(start_paused = true)]
    async fn caller_with_many_tokens_takes_the_place_of_no_other() {
        let (many, one) = (Presenter::Caller(Some(0)), Presenter::Caller(Some(1)));
        let mut cache = Cache::new(3);
        for (id, presenter) in [(1, one), (2, many), (3, many), (4, many), (5, many)] {
            let token = token(&mut cache, 100, None);
            cache.keep([id; 32], presenter, token);
        }
        assert!(cache.token(&[1; 32]).is_some(), "that of another caller, although it is the oldest");
        assert!(cache.token(&[3; 32]).is_none() && cache.token(&[5; 32]).is_some());
        assert_eq!(cache.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn token_ends_with_itself_or_with_its_subject() {
        let mut cache = Cache::new(9);
        let short = token(&mut cache, 100, Some(10));
        cache.keep([1; 32], Presenter::Anybody, short);
        keep(&mut cache, 2);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(cache.token(&[1; 32]).is_none(), "its subject has ended");
        assert!(cache.token(&[2; 32]).is_some());
        assert_eq!((cache.sweep(), cache.len()), (1, 1));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(cache.token(&[2; 32]).is_none());
        assert_eq!((cache.sweep(), cache.len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn refusal_drops_the_token_and_a_failure_does_not() {
        let mut cache = Cache::new(2);
        keep(&mut cache, 1);
        let failing = Unavailable::Failing { retry_after: Duration::from_secs(4) };
        assert!(!cache.fail([1; 32], failing, Duration::from_secs(4)));
        assert!(cache.token(&[1; 32]).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        let left = Unavailable::Failing { retry_after: Duration::from_secs(3) };
        assert_eq!(cache.failure(&[1; 32]), Some(left));
        assert!(cache.fail([1; 32], Unavailable::Refused, Duration::from_secs(10)));
        assert!(cache.token(&[1; 32]).is_none());
        assert_eq!(cache.failure(&[1; 32]), Some(Unavailable::Refused));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(cache.failure(&[1; 32]), None);
        for id in 2..9 {
            cache.fail([id; 32], Unavailable::Refused, Duration::from_secs(10));
            assert!(cache.failures.len() <= 2, "failures are bounded");
        }
        assert!(cache.failure(&[8; 32]).is_some());
        keep(&mut cache, 8);
        assert_eq!(cache.failure(&[8; 32]), None, "a token ends a failure");
    }

    #[tokio::test(start_paused = true)]
    async fn rejected_token_is_forced_once_per_interval() {
        let mut cache = Cache::new(2);
        keep(&mut cache, 1);
        let interval = Duration::from_secs(5);
        assert!(cache.may_force(&[1; 32], interval) && !cache.may_force(&[1; 32], interval));
        keep(&mut cache, 1);
        assert!(!cache.may_force(&[1; 32], interval), "the new one counts as well");
        assert!(cache.may_force(&[2; 32], interval), "another caller");
        tokio::time::advance(interval).await;
        assert!(cache.may_force(&[1; 32], interval));
    }
}
