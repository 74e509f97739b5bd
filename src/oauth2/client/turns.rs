//! How many token requests one server gets at a time, so that a start with a thousand credentials is no herd for it.
//!
//! The wait is before the request: neither its time limit nor the lifetime of its token counts it. Servers do not wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limit on token requests in progress at one server.
const MAX_REQUESTS: usize = 32;
/// The number of servers from which on those without a credential are forgotten.
const FIRST_CLEANING: usize = 64;

/// The turns at every server.
#[derive(Default)]
pub struct TokenRequestTurns(Mutex<Servers>);

#[derive(Default)]
struct Servers {
    /// By host and port.
    known: HashMap<String, Weak<Semaphore>>,
    /// The number of servers at which those without a credential were forgotten last, doubled.
    clean_at: usize,
}

/// The turns at one server.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl TokenRequestTurns {
    /// The turns at the server of this host and port, which all of its credentials share.
    pub(crate) fn at(&self, server: &str) -> Turns {
        let Servers { known, clean_at } = &mut *self.0.lock();
        if let Some(turns) = known.get(server).and_then(Weak::upgrade) {
            return Turns(turns);
        }
        if known.len() >= (*clean_at).max(FIRST_CLEANING) {
            known.retain(|_, turns| turns.strong_count() > 0);
            *clean_at = 2 * known.len();
        }
        let turns = Arc::new(Semaphore::new(MAX_REQUESTS));
        known.insert(server.to_owned(), Arc::downgrade(&turns));
        Turns(turns)
    }
}

impl Turns {
    /// Waits for a turn, first come, first served. It ends when what is returned is dropped.
    pub(crate) async fn next(&self) -> OwnedSemaphorePermit {
        self.0.clone().acquire_owned().await.expect("the semaphore is never closed")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn server_has_its_own_turns_and_a_limit() {
        let turns = TokenRequestTurns::default();
        let (a, b) = (turns.at("a"), turns.at("b"));
        let mut held = Vec::new();
        for _ in 0..MAX_REQUESTS {
            held.push(turns.at("a").next().now_or_never().unwrap());
        }
        assert!(a.next().now_or_never().is_none(), "every turn is held");
        assert!(b.next().now_or_never().is_some(), "another server");
        held.pop();
        assert!(a.next().now_or_never().is_some());
    }

    #[test]
    fn servers_without_a_credential_are_forgotten() {
        let turns = TokenRequestTurns::default();
        let kept = turns.at("kept");
        for number in 0..10 * FIRST_CLEANING {
            drop(turns.at(&number.to_string()));
        }
        assert!(turns.0.lock().known.len() <= FIRST_CLEANING);
        assert!(Arc::ptr_eq(&kept.0, &turns.at("kept").0));
    }
}
