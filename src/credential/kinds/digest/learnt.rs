//! What was learnt of upstreams: the last challenge of each realm, and how often its nonce was used.
//!
//! Requests read without a lock. A challenge replaces the one of the same server and realm. A nonce that comes again keeps its
//! count, because a server rejects a count that it has seen (RFC 7616 §3.4).

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::answer::User;
use super::challenge::DigestChallenge;
use crate::net::deadline::{AtomicDeadline, Tick};
use crate::secret::hex;

/// The limit on challenges that are kept: the URLs of a service, times realms.
const MAX_CHALLENGES: usize = 16;

/// How long a nonce counts as fresh: less than servers keep one, which is 30 seconds at least, and five minutes with Apache.
const FRESH_TIME: Duration = Duration::from_secs(20);

/// Identifiers count up to this and start again, so that they fit into a version.
const MAX_ID: u32 = 1 << 28;

/// A challenge, and the state of its nonce.
pub(super) struct Learnt {
    /// Identifies the nonce; never 0.
    pub(super) id: u32,
    /// Scheme and authority of the server.
    origin: String,
    pub(super) challenge: DigestChallenge,
    /// One for each nonce: with the count each request has another answer (RFC 7616 §5.9).
    pub(super) cnonce: String,
    /// H(A1), by the number of the user.
    keys: [OnceLock<Zeroizing<String>>; 2],
    count: AtomicU64,
    accepted: AtomicBool,
    /// Until then the nonce is likely to be accepted.
    fresh_until: AtomicDeadline,
}

impl Learnt {
    /// The count for the next answer; `None` after the last one that a nonce allows.
    pub(super) fn next_count(&self) -> Option<u32> {
        u32::try_from(self.count.fetch_add(1, Ordering::Relaxed) + 1).ok()
    }

    /// H(A1) of the user of this number.
    pub(super) fn key(&self, number: usize, user: &User) -> &str {
        self.keys[number].get_or_init(|| user.key(&self.challenge, &self.cnonce))
    }

    /// Whether the server has accepted an answer with this nonce.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Records that the server accepted an answer with this nonce.
    pub(super) fn accept(&self) {
        if !self.is_accepted() {
            self.accepted.store(true, Ordering::Relaxed);
        }
        self.fresh_until.set(Tick::now() + FRESH_TIME);
    }

    /// Whether the server gave the nonce, or accepted it, a moment ago.
    fn is_fresh(&self) -> bool {
        self.fresh_until.get().is_some_and(|until| Tick::now() < until)
    }

    /// The longest prefix of `path` that the challenge is for; `None` if it is for others.
    fn covers(&self, path: &str) -> Option<usize> {
        if self.challenge.paths.is_empty() {
            return Some(0);
        }
        let paths = self.challenge.paths.iter().filter(|prefix| path.starts_with(prefix.as_str()));
        paths.map(String::len).max()
    }
}

/// The challenges of the upstreams of one service, the last one first.
#[derive(Default)]
pub(super) struct Challenges {
    all: ArcSwap<Vec<Arc<Learnt>>>,
    ids: AtomicU32,
}

impl Challenges {
    /// The challenge that is answered in a request for this path: the one with the longest matching path of `domain`, of
    /// equal ones the last.
    pub(super) fn for_request(&self, origin: &str, path: &str) -> Option<Arc<Learnt>> {
        let all = self.all.load();
        let mut best: Option<(usize, &Arc<Learnt>)> = None;
        for learnt in all.iter().filter(|learnt| learnt.origin == origin) {
            if let Some(length) = learnt.covers(path)
                && best.is_none_or(|(longest, _)| length > longest)
            {
                best = Some((length, learnt));
            }
        }
        best.map(|(_, learnt)| learnt.clone())
    }

    /// Whether a request to this server is likely to be answered with a nonce that it accepts.
    pub(super) fn are_fresh(&self, origin: &str) -> bool {
        self.all.load().iter().any(|learnt| learnt.origin == origin && learnt.is_fresh())
    }

    /// The challenge with this identifier, unless it was replaced.
    pub(super) fn by_id(&self, id: u32) -> Option<Arc<Learnt>> {
        self.all.load().iter().find(|learnt| learnt.id == id).cloned()
    }

    /// Keeps a challenge of a server. Returns false if the system gives no random numbers.
    pub(super) fn learn(&self, origin: &str, challenge: DigestChallenge) -> bool {
        let mut bytes = [0; 16];
        if SystemRandom::new().fill(&mut bytes).is_err() {
            return false;
        }
        let new = Arc::new(Learnt {
            id: self.ids.fetch_add(1, Ordering::Relaxed) % (MAX_ID - 1) + 1,
            origin: origin.to_owned(),
            challenge,
            cnonce: hex(&bytes),
            keys: Default::default(),
            count: AtomicU64::new(0),
            accepted: AtomicBool::new(false),
            fresh_until: AtomicDeadline::off(),
        });
        new.fresh_until.set(Tick::now() + FRESH_TIME);
        self.all.rcu(|all| {
            let is_same = |known: &&Arc<Learnt>| {
                known.origin == new.origin && known.challenge.realm == new.challenge.realm
            };
            let known = all.iter().find(is_same);
            let first = known.filter(|known| known.is_of(&new.challenge)).unwrap_or(&new).clone();
            let others = all.iter().filter(|known| !is_same(known)).take(MAX_CHALLENGES - 1);
            std::iter::once(first).chain(others.cloned()).collect::<Vec<_>>()
        });
        true
    }
}

impl Learnt {
    /// Whether a challenge differs in nothing but `stale`.
    fn is_of(&self, challenge: &DigestChallenge) -> bool {
        let is_stale = self.challenge.is_stale;
        self.challenge == DigestChallenge { is_stale, ..challenge.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::challenge::tests::challenge;
    use super::*;

    const ORIGIN: &str = "https://a.example";

    fn learnt(all: &Challenges, path: &str) -> Option<String> {
        all.for_request(ORIGIN, path).map(|learnt| learnt.challenge.nonce.clone())
    }

    #[test]
    fn challenge_is_for_its_server_and_its_paths() {
        let all = Challenges::default();
        assert!(all.for_request(ORIGIN, "/").is_none());
        all.learn(ORIGIN, challenge("Digest realm=\"files\", nonce=\"1\", domain=\"/files\""));
        assert_eq!((learnt(&all, "/files/a").as_deref(), learnt(&all, "/")), (Some("1"), None));
        all.learn(ORIGIN, challenge("Digest realm=\"all\", nonce=\"2\""));
        assert_eq!(
            (learnt(&all, "/files/a").as_deref(), learnt(&all, "/").as_deref()),
            (Some("1"), Some("2"))
        );
        assert!(all.for_request("https://b.example", "/").is_none());
        assert!(all.for_request("http://a.example", "/").is_none());
    }

    #[test]
    fn nonce_that_comes_again_keeps_its_count() {
        let all = Challenges::default();
        let text = "Digest realm=\"a\", nonce=\"1\", qop=auth";
        all.learn(ORIGIN, challenge(text));
        let first = all.for_request(ORIGIN, "/").unwrap();
        assert_eq!((first.next_count(), first.next_count()), (Some(1), Some(2)));
        all.learn(ORIGIN, challenge(&format!("{text}, stale=true")));
        let again = all.for_request(ORIGIN, "/").unwrap();
        assert_eq!((again.id, again.next_count()), (first.id, Some(3)));
        all.learn(ORIGIN, challenge(&text.replace('1', "2")));
        let other = all.for_request(ORIGIN, "/").unwrap();
        assert_eq!(other.next_count(), Some(1));
        assert_ne!((other.id, &other.cnonce), (first.id, &first.cnonce));
        assert!(all.by_id(first.id).is_none() && all.by_id(other.id).is_some());
    }

    #[test]
    fn count_ends_with_the_nonce() {
        let all = Challenges::default();
        all.learn(ORIGIN, challenge("Digest realm=\"a\", nonce=\"1\", qop=auth"));
        let learnt = all.for_request(ORIGIN, "/").unwrap();
        learnt.count.store(u64::from(u32::MAX) - 1, Ordering::Relaxed);
        assert_eq!((learnt.next_count(), learnt.next_count()), (Some(u32::MAX), None));
    }

    #[test]
    fn challenges_of_many_realms_are_bounded() {
        let all = Challenges::default();
        for number in 0..100 {
            all.learn(ORIGIN, challenge(&format!("Digest realm=\"{number}\", nonce=\"n{number}\"")));
        }
        assert_eq!(all.all.load().len(), MAX_CHALLENGES);
        assert_eq!(learnt(&all, "/").as_deref(), Some("n99"));
    }
}
