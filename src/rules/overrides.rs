//! Header fields and query parameters in which another method or path hides. Frameworks, servers and proxies act on them in
//! place of the request line, after a rule was matched against that.
//!
//! They are recognized by the words in their names: there is no complete list of them.

/// Words that name a method, in a field that overrides.
const METHOD_WORDS: [&str; 2] = ["method", "verb"];
/// Words that name a path, in a field that overrides.
const PATH_WORDS: [&str; 6] = ["url", "uri", "path", "prefix", "destinationurl", "script"];
/// Words with which a field overrides what it names. `Access-Control-Request-Method` has none of them.
const OVERRIDE_WORDS: [&str; 8] =
    ["x", "http", "override", "original", "rewrite", "forwarded", "unencoded", "envoy"];
/// Query parameters that name another method (Rails, Symfony, Laravel, Salesforce, Zend).
const METHOD_PARAMETERS: [&str; 8] = [
    "method",
    "httpmethod",
    "xhttpmethod",
    "methodoverride",
    "httpmethodoverride",
    "xhttpmethodoverride",
    "xmethodoverride",
    "xhttpverb",
];
/// Query parameters that name another path (WordPress).
const PATH_PARAMETERS: [&str; 1] = ["restroute"];

/// Whether a field names another method or another path.
pub fn is_override(name: &str) -> bool {
    is_method(name) || is_path(name)
}

/// Whether a field names another method. Servers that read fields as variables take `_` for `-`.
pub(super) fn is_method(name: &str) -> bool {
    overrides(name, &METHOD_WORDS)
}

/// Whether a field names another path, in place of that of the request or beside it.
pub(super) fn is_path(name: &str) -> bool {
    overrides(name, &PATH_WORDS) || names_resource(name)
}

/// Whether a field names a resource that is read, or that the created one leads to: object stores (S3, Google, Azure, Swift) act
/// on that as well, as in `x-amz-copy-source`.
fn names_resource(name: &str) -> bool {
    let (mut does, mut which) = (false, false);
    for word in words(name) {
        let is = |known: &str| word.eq_ignore_ascii_case(known);
        does |= match word.len() {
            4 => is("copy"),
            6 => is("rename") || is("object"),
            7 => is("symlink"),
            _ => false,
        };
        which |= match word.len() {
            4 => is("from"),
            6 => is("source") || is("target"),
            8 => is("manifest"),
            _ => false,
        };
    }
    does && which
}

/// The words of a name.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(['-', '_'])
}

/// Whether one word of a name is among `what`, and another one overrides.
fn overrides(name: &str, what: &[&str]) -> bool {
    let is_in = |word: &str, list: &[&str]| list.iter().any(|known| word.eq_ignore_ascii_case(known));
    words(name).any(|word| is_in(word, what)) && words(name).any(|word| is_in(word, &OVERRIDE_WORDS))
}

/// Whether a query names another method: a parameter that begins with `_`, or with what PHP reads as `_`, or with a name of
/// more than one word.
pub(super) fn has_method(query: &str) -> bool {
    has_parameter(query, |name, is_marked| {
        METHOD_PARAMETERS.contains(&name) && (is_marked || name != "method")
    })
}

/// Whether a query names another path.
pub(super) fn has_path(query: &str) -> bool {
    has_parameter(query, |name, _| PATH_PARAMETERS.contains(&name))
}

/// Whether a query has a parameter. The name is in lower case and without punctuation; the flag says whether it begins with
/// punctuation.
fn has_parameter(query: &str, is_sought: impl Fn(&str, bool) -> bool) -> bool {
    let of = |query: &str| {
        form_urlencoded::parse(query.as_bytes()).any(|(name, _)| {
            // `name[]` and `name[x]` are the parameter `name` to many frameworks.
            let is_marked = name.starts_with(|c: char| !c.is_alphanumeric());
            let name = name.trim_start_matches(|c: char| !c.is_alphanumeric());
            let name = name.split('[').next().unwrap_or_default();
            let plain: String =
                name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
            is_sought(&plain, is_marked)
        })
    };
    of(query) || (query.contains(';') && of(&query.replace(';', "&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_found_in_any_spelling() {
        for name in [
            "X-HTTP-Method-Override",
            "x_http_method_override",
            "X-HTTP-Method",
            "X-Method-Override",
            "X-HTTP-Verb",
            "X-Http-Verb-Override",
            "HTTP-Method-Override",
            "Method-Override",
            "X-Method",
            "X-Override-Method",
            "X-Original-Method",
        ] {
            assert!(is_method(name) && !is_path(name), "{name}");
        }
        for name in [
            "X-Original-URL",
            "x_rewrite-url",
            "X-Override-URL",
            "X-Original-URI",
            "X-Rewrite-URI",
            "X-Original-Path",
            "X-Forwarded-Uri",
            "X-Forwarded-Path",
            "X-Forwarded-Prefix",
            "X-Envoy-Original-Path",
            "X-HTTP-DestinationURL",
            "X-Waws-Unencoded-Url",
            "X-Script-Name",
            "x-amz-copy-source",
            "x-amz-rename-source",
            "x-goog-copy-source",
            "X-Ms-Copy-Source",
            "x-oss-copy-source",
            "X-Copy-From",
            "X-Symlink-Target",
            "X-Object-Manifest",
        ] {
            assert!(is_path(name) && !is_method(name), "{name}");
        }
        for name in [
            "Accept",
            "X-Request-Id",
            "Access-Control-Request-Method",
            "X-Methods",
            "Content-Location",
            "X-Forwarded-For",
            "x-amz-metadata-directive",
            "X-Source",
            "X-Copy-Id",
        ] {
            assert!(!is_method(name) && !is_path(name), "{name}");
        }
        for query in [
            "_method=DELETE",
            "a=1&_method=PUT",
            "a;_method=x",
            "%5fmethod=x",
            "_method",
            "_HttpMethod=DELETE",
            ".method=DELETE",
            "[method=DELETE",
            "+method=DELETE",
            "_method[]=x",
            "_Method=x",
            "X-HTTP-Method-Override=DELETE",
        ] {
            assert!(has_method(query), "{query}");
        }
        assert!(!has_method("method=card&my_method=y&a=_method&payment[method]=x"));
        assert!(has_path("rest_route=/wp/v2/users") && !has_path("route=x"));
    }
}
