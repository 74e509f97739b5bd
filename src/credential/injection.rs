//! What a credential adds to one request.

use http::HeaderValue;
use smallvec::SmallVec;

/// Header fields, query parameters and cookies that a [`Signer`](super::Signer) adds to a request. They are
/// written last, after everything that a caller sent in their place was removed.
#[derive(Default)]
pub struct Injection<'s> {
    pub(super) fields: SmallVec<[(&'s str, HeaderValue); 2]>,
    pub(super) query: Option<HeaderValue>,
    pub(super) cookie: Option<HeaderValue>,
}

impl<'s> Injection<'s> {
    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.query.is_none() && self.cookie.is_none()
    }

    /// Adds a header field, with its name as it is written in HTTP/1.1.
    pub fn field(&mut self, name: &'s str, value: HeaderValue) {
        self.fields.push((name, value));
    }

    /// Sets the query parameters, encoded: `name=value`, joined by `&`.
    pub fn query(&mut self, pairs: HeaderValue) {
        self.query = Some(pairs);
    }

    /// Sets the cookies: `name=value`, joined by `; `.
    pub fn cookie(&mut self, pairs: HeaderValue) {
        self.cookie = Some(pairs);
    }
}
