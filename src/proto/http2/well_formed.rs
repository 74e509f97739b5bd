//! The rules on a request that the `h2` crate leaves to its user (RFC 9113 §8.2.1, §8.3.1). It checks the others
//! itself: which pseudo-header fields there are, in which order and how often, the characters of names and values,
//! fields of a connection, and that a body is as long as `content-length` says.

use http::uri::PathAndQuery;
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
    !has_user && is_path && parts.headers.values().all(is_value)
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
    fn value_begins_and_ends_with_no_whitespace() {
        for (value, is_good) in
            [("", true), ("a b", true), (" a", false), ("a ", false), ("\ta", false), (" ", false)]
        {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            assert_eq!(is(Request::get("/").header("x", &value)), is_good, "{value:?}");
        }
    }
}
