//! The callers that are known by a token, and which one a token is of.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::cache::{Claims, VerifiedTokens};
use super::issuer_keys::IssuerKeys;
use super::jwks::Verified;
use super::jws;
use super::jws::Jws;
use crate::callers::keys::Hash;
use crate::callers::refusal::Refusal;
use crate::config::{JwksSource, JwtIdentity};

/// All callers that are known by a token.
#[derive(Default)]
pub(in crate::callers) struct Tokens {
    callers: Box<[TokenCaller]>,
    sources: Box<[Source]>,
}

struct TokenCaller {
    /// Its position among all callers.
    caller: usize,
    identity: JwtIdentity,
    /// The position of its keys among the sources.
    source: usize,
}

/// The keys of one issuer, and the tokens that they have verified.
struct Source {
    keys: Arc<IssuerKeys>,
    verified: VerifiedTokens,
}

impl Tokens {
    /// The callers with their positions. `keys` gives the keys of a source.
    pub(in crate::callers) fn new<'c>(
        identities: impl Iterator<Item = (usize, &'c JwtIdentity)>,
        keys: impl Fn(&JwksSource) -> Arc<IssuerKeys>,
    ) -> Self {
        let mut known: Vec<&JwksSource> = Vec::new();
        let mut sources = Vec::new();
        let callers = identities.map(|(caller, identity)| {
            let source = known.iter().position(|source| **source == identity.keys).unwrap_or_else(|| {
                known.push(&identity.keys);
                sources.push(Source { keys: keys(&identity.keys), verified: VerifiedTokens::default() });
                sources.len() - 1
            });
            TokenCaller { caller, identity: identity.clone(), source }
        });
        Self { callers: callers.collect(), sources: sources.into() }
    }

    /// Whether a credential may be a token of a caller.
    pub(in crate::callers) fn may_have(&self, credential: &[u8]) -> bool {
        !self.callers.is_empty() && jws::is_jws(credential)
    }

    /// The position of the first caller that the token is of. `is_of` says whether the connection is that caller's.
    pub(in crate::callers) fn find(
        &self,
        hash: &Hash,
        token: &[u8],
        is_of: impl Fn(usize) -> bool,
    ) -> Result<usize, Refusal> {
        // A token that was verified before is not parsed again.
        let known = self.sources.iter().enumerate().find_map(|(index, source)| {
            let claims = source.verified.get(source.keys.current()?.number, hash)?;
            Some((index, Ok(claims)))
        });
        let issuer = match &known {
            Some((_, Ok(claims))) => claims.0.get("iss").and_then(Value::as_str).map(str::to_owned),
            _ => Jws::parse(token)?.claimed_issuer().map(str::to_owned),
        };
        let issuer = issuer.ok_or(Refusal::TokenClaims)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut closest = Refusal::TokenClaims;
        let mut verified: Vec<(usize, Result<Arc<Claims>, Refusal>)> = known.into_iter().collect();
        for caller in self.callers.iter().filter(|caller| caller.identity.issuer == issuer) {
            let at = verified.iter().position(|(source, _)| *source == caller.source).unwrap_or_else(|| {
                verified.push((caller.source, self.sources[caller.source].claims(hash, token)));
                verified.len() - 1
            });
            let claims = match &verified[at].1 {
                Ok(claims) => claims,
                Err(refusal) => {
                    closest = closer(closest, *refusal);
                    continue;
                }
            };
            match is_valid(claims, &caller.identity, now) {
                Ok(()) if is_of(caller.caller) => return Ok(caller.caller),
                Ok(()) => closest = closer(closest, Refusal::OtherConnection),
                Err(refusal) => closest = closer(closest, refusal),
            }
        }
        Err(closest)
    }
}

/// Of the refusals for two callers, the one that came closer to accepting the token. What is not known yet is closer than what is
/// wrong: the caller with these keys may have the token.
fn closer(one: Refusal, other: Refusal) -> Refusal {
    let rank = |refusal| match refusal {
        Refusal::OtherConnection => 5,
        Refusal::TokenExpired | Refusal::TokenNotYetValid => 4,
        Refusal::KeysUnavailable => 3,
        Refusal::TokenSignature => 2,
        Refusal::TokenUnknownKey => 1,
        _ => 0,
    };
    if rank(other) > rank(one) { other } else { one }
}

impl Source {
    /// The claims of a token, if its signature is right.
    fn claims(&self, hash: &Hash, token: &[u8]) -> Result<Arc<Claims>, Refusal> {
        let Some(current) = self.keys.current() else {
            self.keys.request();
            return Err(Refusal::KeysUnavailable);
        };
        if let Some(claims) = self.verified.get(current.number, hash) {
            return Ok(claims);
        }
        let jws = Jws::parse(token)?;
        match jws.verify(&current.keys) {
            Verified::Yes => {}
            Verified::No => return Err(Refusal::TokenSignature),
            // The issuer may have a new key.
            Verified::UnknownKey if self.keys.request() => return Err(Refusal::KeysUnavailable),
            Verified::UnknownKey => return Err(Refusal::TokenUnknownKey),
        }
        let claims = Arc::new(Claims(jws.into_claims()));
        self.verified.insert(current.number, *hash, claims.clone());
        Ok(claims)
    }
}

/// Whether a token whose signature is right is one of this caller, and valid now.
fn is_valid(Claims(claims): &Claims, own: &JwtIdentity, now: Duration) -> Result<(), Refusal> {
    let is = |name: &str, text: &str| match claims.get(name) {
        Some(Value::String(claim)) => claim == text,
        Some(Value::Array(claims)) if name != "iss" => claims.iter().any(|claim| claim == text),
        _ => false,
    };
    let is_own = is("iss", &own.issuer)
        && is("aud", &own.audience)
        && own.claims.iter().all(|(name, text)| is(name, text));
    if !is_own {
        return Err(Refusal::TokenClaims);
    }
    let (now, leeway) = (now.as_secs_f64(), own.leeway.as_secs_f64());
    let time = |name: &str| claims.get(name).map(|time| time.as_f64().filter(|time| time.is_finite()));
    match time("exp") {
        Some(Some(end)) if now < end + leeway => {}
        _ => return Err(Refusal::TokenExpired),
    }
    match time("nbf") {
        None => Ok(()),
        Some(Some(start)) if start <= now + leeway => Ok(()),
        Some(_) => Err(Refusal::TokenNotYetValid),
    }
}
