//! Answers challenges in requests, and learns them from responses.
//!
//! | request was sent with | response | then |
//! |---|---|---|
//! | nothing: no challenge is known | 401 with a challenge | the request is sent again with an answer |
//! | a nonce | 401, `stale=true` | the same, with the new nonce |
//! | a nonce that was accepted before | 401 | the same: some servers forget nonces and do not say so |
//! | a nonce that was never accepted | 401 | the password is wrong; the response is passed on, or `previous` is tried |
//! | a nonce | any other, `nextnonce` in `Authentication-Info` | the next request uses that nonce |
//!
//! A body that is too large to be sent again comes after a request without one (HEAD), unless a nonce was learnt or accepted a moment
//! ago.
//!
//! A request is sent again once for a new nonce, so that a wrong password never makes a loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use httparse::Header;

use super::answer::{Answer, User};
use super::challenge::{self, DigestChallenge, Policy};
use super::learnt::{Challenges, Learnt};
use crate::config::Username;
use crate::credential::owned::AUTHORIZATION;
use crate::credential::{
    BodyNeed, CredentialVersion, Injection, NotReady, OutboundRequest, Owned, PendingBody, Signer,
    UpstreamResponse, Verdict,
};
use crate::proto::challenge::parameters;
use crate::secret::Echoes;

/// The limit on a body that is read before the request is sent, in bytes: a server may answer 401 before it has read a body,
/// and what has not arrived cannot be sent again.
const MAX_HELD_BODY: usize = 32 * 1024;

/// What the signers of a service share: one for each password of a rotation.
pub(super) struct Shared {
    service: String,
    policy: Policy,
    challenges: Challenges,
    /// The last reason for which a challenge was not answered; 0 if there was none.
    last_reason: AtomicU8,
}

impl Shared {
    pub(super) fn new(service: &str, policy: Policy) -> Self {
        Self {
            service: service.to_owned(),
            policy,
            challenges: Challenges::default(),
            last_reason: AtomicU8::new(0),
        }
    }
}

/// A signer with one password.
pub(super) struct DigestSigner {
    shared: Arc<Shared>,
    user: User,
    /// 0, or 1 for the previous password.
    number: usize,
    owned: Arc<Owned>,
    echoes: Arc<Echoes>,
}

impl DigestSigner {
    pub(super) fn new(shared: Arc<Shared>, user: User, number: usize) -> Self {
        let name = match &user.name {
            Username::Text(_) => None,
            Username::Secret(secret) => Some(secret.expose()),
        };
        let echoes = Arc::new(Echoes::of(name));
        Self { shared, user, number, owned: Arc::new(Owned::authorization()), echoes }
    }

    /// Whether a 401 is the end of a nonce and not the rejection of the password. Learns the challenge.
    fn is_nonce_over(&self, used: CredentialVersion, response: &UpstreamResponse<'_>) -> bool {
        let Shared { service, policy, challenges, last_reason } = &*self.shared;
        match challenge::strongest(response.fields, policy) {
            Ok(challenge) => {
                last_reason.store(0, Ordering::Relaxed);
                let is_stale = challenge.is_stale;
                let is_learnt = challenges.learn(response.origin, challenge);
                is_learnt && (used == NOTHING_SENT || is_stale || was_accepted(used))
            }
            Err(why) => {
                if last_reason.swap(why as u8, Ordering::Relaxed) != why as u8 {
                    tracing::warn!(
                        sidekey.service = service,
                        reason = %why,
                        "the upstream's challenge cannot be answered with Digest; its 401 is passed on"
                    );
                }
                false
            }
        }
    }

    /// Learns the nonce for the next request (RFC 7616 §3.5).
    fn learn_next_nonce(&self, learnt: &Learnt, response: &UpstreamResponse<'_>) {
        let Some(next) = next_nonce(response.fields) else { return };
        if let Some(challenge) = learnt.challenge.with_nonce(next) {
            self.shared.challenges.learn(response.origin, challenge);
        }
    }
}

/// The version of a request without an answer.
const NOTHING_SENT: CredentialVersion = CredentialVersion::STATIC;

/// The version of an answer: the nonce, and whether it had been accepted before.
fn version(learnt: &Learnt) -> CredentialVersion {
    CredentialVersion::new(u64::from(learnt.id) << 1 | u64::from(learnt.is_accepted()))
}

fn was_accepted(version: CredentialVersion) -> bool {
    version.number() & 1 == 1
}

fn nonce_id(version: CredentialVersion) -> u32 {
    u32::try_from(version.number() >> 1).unwrap_or(0)
}

/// `nextnonce` of `Authentication-Info`.
fn next_nonce(fields: &[Header<'_>]) -> Option<String> {
    let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case("authentication-info"))?;
    let parameters = parameters(std::str::from_utf8(field.value).ok()?);
    parameters.into_iter().find_map(|(name, value)| (name == "nextnonce").then_some(value))
}

impl Signer for DigestSigner {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn body(&self, body: &PendingBody<'_>) -> BodyNeed {
        match body.length {
            Some(length) if length <= MAX_HELD_BODY as u64 => BodyNeed::Complete { max: MAX_HELD_BODY },
            _ if self.shared.challenges.are_fresh(body.origin) => BodyNeed::None,
            _ => BodyNeed::Challenge,
        }
    }

    fn is_single_use(&self) -> bool {
        true
    }

    fn is_refreshable(&self) -> bool {
        true
    }

    /// Without a challenge nothing is added: the upstream answers with one (RFC 7616 §3.3).
    fn sign<'s>(
        &'s self,
        request: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        let path = request.full_path();
        let Some(learnt) = self.shared.challenges.for_request(request.origin, &path) else {
            return Ok(NOTHING_SENT);
        };
        let Some(count) = learnt.next_count() else { return Ok(NOTHING_SENT) };
        let version = version(&learnt);
        let answer = Answer {
            challenge: &learnt.challenge,
            key: learnt.key(self.number, &self.user),
            cnonce: &learnt.cnonce,
            count,
            method: request.method,
            target: &request.target(),
        };
        injection.field(AUTHORIZATION, answer.authorization(&self.user).ok_or(NotReady)?);
        Ok(version)
    }

    fn observe(&self, used: CredentialVersion, response: &UpstreamResponse<'_>) -> Verdict {
        if response.status == 401 {
            return if self.is_nonce_over(used, response) { Verdict::Again } else { Verdict::Pass };
        }
        // An upstream that is overloaded or fails may not have checked the answer.
        if !matches!(response.status, 429 | 500..=599)
            && let Some(learnt) = self.shared.challenges.by_id(nonce_id(used))
        {
            learnt.accept();
            self.learn_next_nonce(&learnt, response);
        }
        Verdict::Pass
    }

    /// The password is not sent, and an answer is good for its own request alone.
    fn mask(&self, text: &mut [u8]) -> u64 {
        self.echoes.mask(text)
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        vec![self.echoes.clone()]
    }
}

impl DigestChallenge {
    /// The same challenge with another nonce; `None` if it is the same, or cannot be sent back.
    fn with_nonce(&self, nonce: String) -> Option<Self> {
        let is_usable = !nonce.is_empty() && challenge::is_sent_back(&nonce);
        (is_usable && nonce != self.nonce).then(|| Self { nonce, is_stale: false, ..self.clone() })
    }
}
