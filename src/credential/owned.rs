//! The parts of a request that belong to a credential. What a caller sends in them is never passed on.

use std::borrow::Cow;

use http::{HeaderName, header};
use percent_encoding::percent_decode_str;

use super::strip_url;
use crate::config::auth::placement::{Placement, RequestPart};

/// `Authorization`, as it is written in HTTP/1.1.
pub(super) const AUTHORIZATION: &str = "Authorization";

/// The parts of a request that belong to a credential: header fields, query parameters and cookies, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owned {
    headers: Box<[HeaderName]>,
    query: Box<[String]>,
    /// Query parameters that are removed from requests, and that the credential never sends.
    foreign_query: Box<[String]>,
    cookies: Box<[String]>,
}

impl Owned {
    /// Owns `Authorization`.
    pub fn authorization() -> Self {
        Self::default().with_header(header::AUTHORIZATION)
    }

    /// Owns what a credential at this place overwrites.
    ///
    /// # Panics
    ///
    /// If the name of the place was not read by the configuration.
    pub fn at(placement: &Placement) -> Self {
        let owned = Self::default();
        match placement.part {
            RequestPart::Header => {
                let name = HeaderName::try_from(&*placement.name);
                owned.with_header(name.expect("the configuration has checked the name"))
            }
            RequestPart::Query => owned.with_query(&*placement.name),
            RequestPart::Cookie => owned.with_cookie(&*placement.name),
        }
    }

    /// Owns a header field as well.
    #[must_use]
    pub fn with_header(self, name: HeaderName) -> Self {
        Self { headers: self.headers.into_iter().chain([name]).collect(), ..self }
    }

    /// Owns a query parameter as well, by its decoded name.
    #[must_use]
    pub fn with_query(self, name: impl Into<String>) -> Self {
        Self { query: self.query.into_iter().chain([name.into()]).collect(), ..self }
    }

    /// Removes a query parameter as well, by its decoded name. The credential does not send it, so that one in a URL
    /// of a response is the upstream's, and stays.
    #[must_use]
    pub fn with_removed_query(self, name: impl Into<String>) -> Self {
        Self { foreign_query: self.foreign_query.into_iter().chain([name.into()]).collect(), ..self }
    }

    /// Owns a cookie as well.
    #[must_use]
    pub fn with_cookie(self, name: impl Into<String>) -> Self {
        Self { cookies: self.cookies.into_iter().chain([name.into()]).collect(), ..self }
    }

    /// The parts in words, with names as they are compared.
    pub fn places(&self) -> Vec<String> {
        let headers =
            self.headers.iter().map(|name| format!("the header field `{}`", name.as_str().replace('_', "-")));
        let query = self.query.iter().chain(&self.foreign_query);
        let query = query.map(|name| format!("the query parameter `{name}`"));
        let cookies = self.cookies.iter().map(|name| format!("the cookie `{name}`"));
        headers.chain(query).chain(cookies).collect()
    }

    /// Owns what `other` owns as well.
    #[must_use]
    pub(super) fn and(self, other: &Self) -> Self {
        let joined =
            |one: Box<[String]>, other: &[String]| one.into_iter().chain(other.iter().cloned()).collect();
        Self {
            headers: self.headers.into_iter().chain(other.headers.iter().cloned()).collect(),
            query: joined(self.query, &other.query),
            foreign_query: joined(self.foreign_query, &other.foreign_query),
            cookies: joined(self.cookies, &other.cookies),
        }
    }

    /// The header fields, for protocols that must treat their values as sensitive (RFC 7541 §7.1.3).
    pub fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// Whether a query parameter is owned.
    pub fn has_query(&self) -> bool {
        !self.query.is_empty()
    }

    /// Whether a part of the query or of the cookies is owned.
    pub fn has_query_or_cookie(&self) -> bool {
        !self.query.is_empty() || !self.cookies.is_empty()
    }

    /// Whether a header field of a caller belongs to the credential. `X_Key` counts as `X-Key`: CGI, WSGI and
    /// their like read both as the variable `HTTP_X_KEY`.
    pub fn owns_header(&self, name: &str) -> bool {
        let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        let is_equal = |owned: &HeaderName| {
            let owned = owned.as_str();
            owned.len() == name.len() && owned.bytes().map(fold).eq(name.bytes().map(fold))
        };
        self.headers.iter().any(is_equal)
    }

    /// Returns the query without the parameters that belong to the credential, in any encoding of their name.
    pub fn strip_query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        if self.query.is_empty() && self.foreign_query.is_empty() {
            return Cow::Borrowed(query);
        }
        let is_own = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default();
            self.owns_parameter(name) || has_parameter(&self.foreign_query, name)
        };
        // Some servers still split at `;` as well.
        if !query.split(['&', ';']).any(is_own) {
            return Cow::Borrowed(query);
        }
        let kept: Vec<_> = query.split('&').filter(|pair| !pair.split(';').any(is_own)).collect();
        Cow::Owned(kept.join("&"))
    }

    /// Returns the URL without the parameters that belong to the credential, or `None` if it has none of
    /// them. They are removed from its query, from its fragment, and from encoded URLs that its parameters
    /// contain.
    pub fn strip_url(&self, url: &str) -> Option<String> {
        if self.query.is_empty() { None } else { strip_url::strip(url, &|name| self.owns_parameter(name)) }
    }

    /// Whether a query parameter belongs to the credential, by its name as it is encoded in the URL.
    fn owns_parameter(&self, name: &str) -> bool {
        has_parameter(&self.query, name)
    }

    /// Returns the `Cookie` value without the cookies that belong to the credential; empty if none remain.
    pub fn strip_cookie<'a>(&self, cookies: &'a [u8]) -> Cow<'a, [u8]> {
        if self.cookies.is_empty() {
            return Cow::Borrowed(cookies);
        }
        let is_own = |pair: &&[u8]| {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            self.cookies.iter().any(|own| name.trim_ascii() == own.as_bytes())
        };
        let pairs = || cookies.split(|byte| *byte == b';');
        if !pairs().any(|pair| is_own(&pair)) {
            return Cow::Borrowed(cookies);
        }
        let kept: Vec<_> = pairs().filter(|pair| !is_own(pair)).map(<[u8]>::trim_ascii).collect();
        Cow::Owned(kept.join(&b"; "[..]))
    }
}

/// Whether a query parameter is one of `names`, by its name as it is encoded in the URL.
fn has_parameter(names: &[String], name: &str) -> bool {
    let is_encoded = name.contains(['%', '+']);
    names.iter().any(|own| name == own || is_encoded && decoded(name) == own.as_bytes())
}

/// Decodes a parameter name as a server does: `+` is a space, `%XX` a byte.
fn decoded(name: &str) -> Vec<u8> {
    percent_decode_str(&name.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn query_parameter_is_stripped_in_every_encoding() {
        let owned = Owned::default().with_query("api key");
        for (query, left) in [
            ("a=1&b=2", "a=1&b=2"),
            ("api+key=evil", ""),
            ("a=1&api%20key=evil&b=2", "a=1&b=2"),
            ("%61pi%20k%65y=evil&a=%20", "a=%20"),
            ("api key&a", "a"),
            ("a=1;api+key=evil", ""),
            ("api+keys=fine&xapi+key=fine", "api+keys=fine&xapi+key=fine"),
            ("", ""),
            ("&&", "&&"),
        ] {
            assert_eq!(owned.strip_query(query), left, "{query}");
        }
        assert_eq!(Owned::authorization().strip_query("key=mine"), "key=mine");
    }

    #[test]
    fn foreign_parameter_is_removed_from_requests_only() {
        let owned = Owned::default().with_removed_query("X-Amz-Signature");
        assert_eq!(owned.strip_query("a=1&X-Amz-Signature=f&%58-Amz-Signature=f"), "a=1");
        assert_eq!(owned.strip_url("https://a.example/?X-Amz-Signature=f"), None);
        assert!(!owned.has_query() && !owned.has_query_or_cookie());
    }

    #[test]
    fn owned_header_matches_every_spelling() {
        let owned = Owned::default().with_header(HeaderName::from_static("x-api-key"));
        for name in ["x-api-key", "X-API-Key", "X_Api_Key", "x_api-key"] {
            assert!(owned.owns_header(name), "{name}");
        }
        for name in ["x-api-keys", "xapikey", "x-api.key", ""] {
            assert!(!owned.owns_header(name), "{name}");
        }
    }

    #[test]
    fn owned_cookie_is_stripped_and_others_are_kept() {
        let owned = Owned::default().with_cookie("session");
        for (cookies, left) in [
            ("a=1; b=2", "a=1; b=2"),
            ("session=evil", ""),
            ("a=1; session=evil; b=2", "a=1; b=2"),
            ("session =evil;a=1;session=more", "a=1"),
            ("xsession=fine", "xsession=fine"),
        ] {
            assert_eq!(owned.strip_cookie(cookies.as_bytes()), left.as_bytes(), "{cookies}");
        }
    }

    proptest! {
        #[test]
        fn any_query_loses_the_owned_parameter(query in "[a-k=&;%0-9+]{0,40}") {
            let owned = Owned::default().with_query("key");
            let left = owned.strip_query(&query).into_owned();
            for pair in left.split(['&', ';']) {
                let name = decoded(pair.split('=').next().unwrap());
                prop_assert_ne!(name, b"key".to_vec());
            }
        }
    }
}
