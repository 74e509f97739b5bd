//! The token that a caller presents.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use ring::hmac;

use super::caller_token::CallerToken;
use crate::oauth2::claims;
use crate::secret::{Echoes, Secret};

/// The longest token of a caller, in bytes: one with many claims is shorter.
const MAX_BYTES: usize = 16 * 1024;
/// The length of an identifier, in bytes.
const ID_LENGTH: usize = 32;

/// What a token of a caller is found by: a keyed hash of it. Whoever reads it learns nothing of the token.
pub(super) type SubjectId = [u8; ID_LENGTH];

/// Who presents a token. The places for token requests are shared by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presenter {
    /// The configuration has no callers: who it is cannot be told.
    Anybody,
    /// A caller of the configuration, or all that are not known (`None`).
    Caller(Option<usize>),
}

/// The token that a request presents, and the token that is sent for it.
pub struct Subject {
    token: Secret,
    presenter: Presenter,
    id: OnceLock<SubjectId>,
    used: Mutex<Option<Arc<CallerToken>>>,
}

impl Subject {
    /// A token as it is in the request; `None` if it is not of the form of a bearer token (`b64token`, RFC 6750 §2.1), or too long.
    pub fn new(token: &[u8]) -> Option<Self> {
        let end = token.iter().rposition(|byte| *byte != b'=')?;
        let is_clean =
            token[..=end].iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte));
        if !is_clean || token.len() > MAX_BYTES {
            return None;
        }
        let token = Secret::new(std::str::from_utf8(token).ok()?.to_owned()).ok()?;
        Some(Self { token, presenter: Presenter::Anybody, id: OnceLock::new(), used: Mutex::default() })
    }

    /// The same, presented by this caller.
    #[must_use]
    pub fn presented_by(self, presenter: Presenter) -> Self {
        Self { presenter, ..self }
    }

    /// Who presents the token.
    pub(super) fn presenter(&self) -> Presenter {
        self.presenter
    }

    /// The token.
    pub(super) fn token(&self) -> &Secret {
        &self.token
    }

    /// The identifier under the key of the one cache that the subject is looked up in.
    pub(super) fn id(&self, key: &hmac::Key) -> SubjectId {
        *self.id.get_or_init(|| {
            let mut id = [0; ID_LENGTH];
            id.copy_from_slice(hmac::sign(key, self.token.expose().as_bytes()).as_ref());
            id
        })
    }

    /// When the token ends, if it is a JWT that says so. Its signature is not verified: a wrong time can only make it end earlier than
    /// the token endpoint does.
    pub(super) fn end(&self) -> Option<SystemTime> {
        let seconds = claims::decode(self.token.expose())?.get("exp")?.as_f64()?;
        let since = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
        UNIX_EPOCH.checked_add(since)
    }

    /// Records the token that is sent.
    pub(super) fn set_used(&self, token: Arc<CallerToken>) {
        *self.used.lock() = Some(token);
    }

    /// Masks the token that was sent in a part of a response; the length stays. Returns in how many places it was.
    pub fn mask(&self, text: &mut [u8]) -> u64 {
        self.used.lock().as_ref().map_or(0, |token| token.echoes.mask(text))
    }

    /// The secrets that [`mask`](Self::mask) looks for.
    pub fn echoes(&self) -> Option<Arc<Echoes>> {
        self.used.lock().as_ref().map(|token| token.echoes.clone())
    }
}

/// Without the tokens.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn subject_is_one_bearer_token() {
        for token in ["a", "abc.DEF-123_~+/", "a==", &"x".repeat(MAX_BYTES)] {
            assert!(Subject::new(token.as_bytes()).is_some(), "{token}");
        }
        for token in ["", "=", "a b", "a,b", "a=b", "a\u{e9}", "\"a\"", "a\t", &"x".repeat(MAX_BYTES + 1)] {
            assert!(Subject::new(token.as_bytes()).is_none(), "{token}");
        }
        assert!(Subject::new(b"\xff").is_none());
        assert!(!format!("{:?}", Subject::new(b"CANARY").unwrap()).contains("CANARY"));
    }

    #[test]
    fn end_is_that_of_a_jwt() {
        let end = |claims: &str| {
            let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
            Subject::new(jwt.as_bytes()).unwrap().end()
        };
        assert_eq!(end(r#"{"exp": 1700000000}"#), Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        assert_eq!(end(r#"{"exp": -5}"#), Some(UNIX_EPOCH));
        for other in [r#"{"exp": "soon"}"#, r#"{"exp": 1e300}"#, "{}", "[]", "x"] {
            assert_eq!(end(other), None, "{other}");
        }
        assert_eq!(Subject::new(b"opaque").unwrap().end(), None);
    }
}
