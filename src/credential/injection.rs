//! What a credential adds to one request.

use std::sync::Arc;

use http::HeaderValue;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use crate::secret::Echoes;

/// The secrets of one request that may be replaced before its response comes. They stay in memory as long as this does.
pub type SentSecrets = SmallVec<[Arc<Echoes>; 1]>;

/// Header fields, query parameters and cookies that a [`Signer`](super::Signer) adds to a request. They are
/// written last, after everything that a caller sent in their place was removed.
#[derive(Default)]
pub struct Injection<'s> {
    pub(super) fields: SmallVec<[(&'s str, HeaderValue); 2]>,
    pub(super) query: Option<HeaderValue>,
    pub(super) cookie: Option<HeaderValue>,
    pub(super) sent: SentSecrets,
}

impl<'s> Injection<'s> {
    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.query.is_none() && self.cookie.is_none()
    }

    /// Records secrets that the request sends, and that [`Signer::mask`](super::Signer::mask) no longer masks once they are replaced.
    pub fn sends(&mut self, secrets: &Arc<Echoes>) {
        self.sent.push(secrets.clone());
    }

    /// Adds a header field, with its name as it is written in HTTP/1.1.
    pub fn field(&mut self, name: &'s str, value: HeaderValue) {
        self.fields.push((name, value));
    }

    /// Adds query parameters, encoded: `name=value`, joined by `&`.
    pub fn query(&mut self, pairs: HeaderValue) {
        self.query = Some(match self.query.take() {
            None => pairs,
            Some(before) => joined(&before, b"&", &pairs),
        });
    }

    /// Adds cookies: `name=value`, joined by `; `.
    pub fn cookie(&mut self, pairs: HeaderValue) {
        self.cookie = Some(match self.cookie.take() {
            None => pairs,
            Some(before) => joined(&before, b"; ", &pairs),
        });
    }
}

fn joined(one: &HeaderValue, separator: &[u8], other: &HeaderValue) -> HeaderValue {
    let bytes = Zeroizing::new([one.as_bytes(), separator, other.as_bytes()].concat());
    let mut value = HeaderValue::from_bytes(&bytes)
        .expect("parts of a field value are one, joined by visible characters");
    value.set_sensitive(true);
    value
}
