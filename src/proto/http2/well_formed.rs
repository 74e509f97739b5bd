//! The rules on a request that the `h2` crate leaves to its user (RFC 9113 §8.2.1, §8.3.1). It checks the others
//! itself: which pseudo-header fields there are, in which order and how often, the characters of names and values,
//! fields of a connection, and that a body is as long as `content-length` says.

use http::header::HOST;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, request};

/// A path that is there. The `http` crate shows one that is missing as `/` too, but the two are not equal.
static ROOT: PathAndQuery = PathAndQuery::from_static("/");

/// Whether a request follows them. Otherwise it must not be forwarded (RFC 9113 §8.1.1).
pub fn is_well_formed(parts: &request::Parts) -> bool {
    let has_user = parts.uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let is_path = match parts.uri.path_and_query() {
        // A `CONNECT`; the `h2` crate has checked that.
        None => true,
        Some(target) if target.as_str() == "/" => *target == ROOT,
        Some(target) if target.as_str() == "*" => parts.method == Method::OPTIONS,
        Some(target) => target.as_str().starts_with('/'),
    };
    let scheme = parts.uri.scheme();
    // Sidekey has no gateway to another scheme. Whatever an upstream would make of it, it is not what was asked for.
    let is_scheme = scheme.is_none_or(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    let has_one_host = parts.headers.get_all(HOST).iter().nth(1).is_none();
    !has_user && is_path && is_scheme && has_one_host && parts.headers.values().all(is_value)
}

/// Whether no whitespace stands at the beginning or the end of a value.
fn is_value(value: &HeaderValue) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !is_blank(value.as_bytes().first()) && !is_blank(value.as_bytes().last())
}

#[cfg(test)]
mod tests {
    use http::uri::Parts;
    use http::{Request, Uri};

    use super::*;

    fn is(request: request::Builder) -> bool {
        is_well_formed(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn target_is_a_path_and_authority_has_no_user() {
        assert!(is(Request::get("http://a/x?y")) && is(Request::get("http://a")) && is(Request::get("/x")));
        assert!(is(Request::options("*")) && !is(Request::get("*")));
        assert!(!is(Request::get("http://user@a/x")));
        assert!(!is(Request::get(Uri::from_parts(Parts::default()).unwrap())), "no path and no authority");
    }

    #[test]
    fn scheme_is_that_of_http() {
        for (uri, is_good) in [
            ("http://a/x", true),
            ("https://a/x", true),
            ("HTTPS://a/x", true),
            ("ftp://a/x", false),
            ("ws://a/x", false),
            ("wss://a/x", false),
            ("http+unix://a/x", false),
            ("x://a/x", false),
        ] {
            assert_eq!(is(Request::get(uri)), is_good, "{uri}");
        }
    }

    #[test]
    fn host_is_not_repeated() {
        assert!(is(Request::get("http://a/").header("host", "a")));
        for second in ["a", "b"] {
            assert!(!is(Request::get("http://a/").header("host", "a").header("host", second)), "{second}");
        }
    }

    #[test]
    fn value_begins_and_ends_with_no_whitespace() {
        for (value, is_good) in
            [("", true), ("a b", true), (" a", false), ("a ", false), ("\ta", false), (" ", false)]
        {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            assert_eq!(is(Request::get("/").header("x", &value)), is_good, "{value:?}");
        }
    }
}
