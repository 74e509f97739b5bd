//! Tokens that were verified, by their hash: a signature takes as long as many requests.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::{Map, Value};

use crate::callers::keys::Hash;

/// Largest number of tokens. Beyond it all are forgotten, and verified again.
const MAX_TOKENS: usize = 2048;

/// The claims of a token whose signature is right.
#[derive(Debug)]
pub(super) struct Claims(pub(super) Map<String, Value>);

/// The tokens that were verified by the keys of one issuer.
#[derive(Default)]
pub(super) struct VerifiedTokens(RwLock<Tokens>);

#[derive(Default)]
struct Tokens {
    /// The keys by which they were verified: others may have no such key any more.
    generation: u64,
    tokens: HashMap<Hash, Arc<Claims>>,
}

impl VerifiedTokens {
    /// The claims of a token that was verified by these keys.
    pub(super) fn get(&self, generation: u64, token: &Hash) -> Option<Arc<Claims>> {
        let verified = self.0.read();
        if verified.generation == generation { verified.tokens.get(token).cloned() } else { None }
    }

    /// Records that a token was verified by these keys.
    pub(super) fn insert(&self, generation: u64, token: Hash, claims: Arc<Claims>) {
        let mut verified = self.0.write();
        if verified.generation != generation || verified.tokens.len() >= MAX_TOKENS {
            verified.tokens.clear();
            verified.generation = generation;
        }
        verified.tokens.insert(token, claims);
    }
}
