//! Header fields and query parameters in which another method or path hides. Frameworks act on them in place of the
//! request line, after a rule was matched against that.

/// Fields that name another method (Rails, Symfony, Spring, Google APIs, Microsoft).
const METHODS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
/// Fields that name another path (Symfony, IIS, Zend).
const PATHS: [&str; 4] = ["x-original-url", "x-rewrite-url", "x-override-url", "x-original-uri"];
/// A query parameter that names another method (Rails, Symfony, Laravel).
const PARAMETER: &str = "_method";

/// Whether a field names another method. Servers that read fields as variables take `_` for `-`.
pub(super) fn is_method(name: &str) -> bool {
    METHODS.iter().any(|known| is_same(known, name))
}

/// Whether a field names another path.
pub(super) fn is_path(name: &str) -> bool {
    PATHS.iter().any(|known| is_same(known, name))
}

fn is_same(known: &str, name: &str) -> bool {
    known.len() == name.len()
        && known
            .bytes()
            .zip(name.bytes())
            .all(|(one, other)| one == other.to_ascii_lowercase() || (one == b'-' && other == b'_'))
}

/// Whether a query names another method.
pub(super) fn has_method(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == PARAMETER)
        || form_urlencoded::parse(query.replace(';', "&").as_bytes()).any(|(name, _)| name == PARAMETER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_found_in_any_spelling() {
        assert!(is_method("X-HTTP-Method-Override") && is_method("x_http_method_override"));
        assert!(is_path("X-Original-URL") && is_path("x_rewrite-url"));
        assert!(!is_method("X-HTTP-Methods") && !is_path("X-Original"));
        for query in ["_method=DELETE", "a=1&_method=PUT", "a;_method=x", "%5fmethod=x", "_method"] {
            assert!(has_method(query), "{query}");
        }
        assert!(!has_method("method=x&my_method=y&a=_method"));
    }
}
