//! The place in a request where a credential goes, and the rule that what a caller wrote there is never passed on.

use std::borrow::Cow;

use http::{HeaderName, header};
use percent_encoding::percent_decode_str;

/// Where a credential goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// A header field.
    Header(HeaderName),
    /// A query parameter, by its decoded name.
    Query(String),
    /// A cookie.
    Cookie(String),
    /// `Authorization` and `DPoP` together.
    Proven,
}

impl Slot {
    /// `Authorization`.
    pub const AUTHORIZATION: Self = Self::Header(header::AUTHORIZATION);

    /// Names of the header fields that hold the credential. `Cookie` is not among them: it is secret whatever it holds.
    pub fn headers(&self) -> Vec<HeaderName> {
        match self {
            Self::Header(own) => vec![own.clone()],
            Self::Proven => vec![header::AUTHORIZATION, HeaderName::from_static("dpop")],
            Self::Query(_) | Self::Cookie(_) => Vec::new(),
        }
    }

    /// Whether a header field of a caller stands in this slot. `X_Key` stands where `X-Key` does: CGI, WSGI and their
    /// like read both as the variable `HTTP_X_KEY`.
    pub fn owns_header(&self, name: &str) -> bool {
        let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        let is = |own: &str| own.len() == name.len() && own.bytes().map(fold).eq(name.bytes().map(fold));
        match self {
            Self::Header(own) => is(own.as_str()),
            Self::Proven => is("authorization") || is("dpop"),
            Self::Query(_) | Self::Cookie(_) => false,
        }
    }

    /// The query without the parameters that stand in this slot, however a caller encoded their name.
    pub fn strip_query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        let Self::Query(own) = self else { return Cow::Borrowed(query) };
        let is_own = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default();
            name == own || name.contains(['%', '+']) && decoded(name) == own.as_bytes()
        };
        // Some servers still split at `;` as well.
        if !query.split(['&', ';']).any(is_own) {
            return Cow::Borrowed(query);
        }
        let kept: Vec<_> = query.split('&').filter(|pair| !pair.split(';').any(is_own)).collect();
        Cow::Owned(kept.join("&"))
    }

    /// The `Cookie` value without the cookies that stand in this slot; empty where nothing is left.
    pub fn strip_cookie<'a>(&self, cookies: &'a [u8]) -> Cow<'a, [u8]> {
        let Self::Cookie(own) = self else { return Cow::Borrowed(cookies) };
        let is_own = |pair: &&[u8]| {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            name.trim_ascii() == own.as_bytes()
        };
        let pairs = || cookies.split(|byte| *byte == b';');
        if !pairs().any(|pair| is_own(&pair)) {
            return Cow::Borrowed(cookies);
        }
        let kept: Vec<_> = pairs().filter(|pair| !is_own(pair)).map(<[u8]>::trim_ascii).collect();
        Cow::Owned(kept.join(&b"; "[..]))
    }
}

/// A parameter name as a server reads it: `+` is a space, `%XX` a byte.
fn decoded(name: &str) -> Vec<u8> {
    percent_decode_str(&name.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strips_a_parameter_however_its_name_is_written() {
        let slot = Slot::Query("api key".into());
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
            assert_eq!(slot.strip_query(query), left, "{query}");
        }
        assert_eq!(Slot::AUTHORIZATION.strip_query("key=mine"), "key=mine");
    }

    #[test]
    fn owns_its_field_in_every_spelling() {
        let slot = Slot::Header(HeaderName::from_static("x-api-key"));
        for name in ["x-api-key", "X-API-Key", "X_Api_Key", "x_api-key"] {
            assert!(slot.owns_header(name), "{name}");
        }
        for name in ["x-api-keys", "xapikey", "x-api.key", ""] {
            assert!(!slot.owns_header(name), "{name}");
        }
    }

    #[test]
    fn strips_a_cookie_and_leaves_the_others() {
        let slot = Slot::Cookie("session".into());
        for (cookies, left) in [
            ("a=1; b=2", "a=1; b=2"),
            ("session=evil", ""),
            ("a=1; session=evil; b=2", "a=1; b=2"),
            ("session =evil;a=1;session=more", "a=1"),
            ("xsession=fine", "xsession=fine"),
        ] {
            assert_eq!(slot.strip_cookie(cookies.as_bytes()), left.as_bytes(), "{cookies}");
        }
    }

    proptest! {
        #[test]
        fn no_own_parameter_survives(query in "[a-k=&;%0-9+]{0,40}") {
            let slot = Slot::Query("key".into());
            let left = slot.strip_query(&query).into_owned();
            for pair in left.split(['&', ';']) {
                let name = decoded(pair.split('=').next().unwrap());
                prop_assert_ne!(name, b"key".to_vec());
            }
        }
    }
}
