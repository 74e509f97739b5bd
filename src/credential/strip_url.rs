//! Removes parameters from a URL by name, however deeply they are encoded. An upstream that redirects with the query it got
//! would otherwise hand a query credential to the caller.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// How many times a parameter's value is decoded in search of another URL.
const MAX_DEPTH: usize = 4;

/// What a nested URL is encoded with again: everything but unreserved characters (RFC 3986 §2.3).
const NESTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The URL without the parameters whose name `is_own`; `None` if there is none.
pub(super) fn strip(url: &str, is_own: &dyn Fn(&str) -> bool) -> Option<String> {
    strip_level(url, is_own, MAX_DEPTH)
}

fn strip_level(url: &str, is_own: &dyn Fn(&str) -> bool, depth: usize) -> Option<String> {
    let mut kept = String::with_capacity(url.len());
    let mut is_changed = false;
    // The `?` or `#` of a parameter that was removed: it stands before the next one.
    let mut opening = None;
    for (delimiter, segment) in segments(url) {
        let (name, value) =
            segment.split_once('=').map_or((segment, None), |(name, value)| (name, Some(value)));
        // Readers cut blanks off the end of a URL: what stands before them is the name of its last parameter then.
        if is_own(name.trim_matches([' ', '\t'])) {
            is_changed = true;
            opening = opening.or(match delimiter {
                Some('&' | ';') => None,
                first => Some(first),
            });
            continue;
        }
        kept.extend(match (delimiter, opening.take()) {
            (Some('&' | ';'), Some(opening)) => opening,
            (delimiter, _) => delimiter,
        });
        // The part of the segment that may hold an encoded URL. The path of the URL itself is none.
        let (before, nested) = match value {
            Some(value) => (&segment[..=name.len()], value),
            None if delimiter.is_none() && depth == MAX_DEPTH => (segment, ""),
            None => ("", segment),
        };
        kept.push_str(before);
        match strip_value(nested, is_own, depth) {
            Some(stripped) => {
                is_changed = true;
                kept.push_str(&stripped);
            }
            None => kept.push_str(nested),
        }
    }
    is_changed.then_some(kept)
}

/// The value of a parameter, if it holds an encoded URL with a parameter to remove.
fn strip_value(value: &str, is_own: &dyn Fn(&str) -> bool, depth: usize) -> Option<String> {
    if depth == 0 || !value.contains('%') {
        return None;
    }
    let decoded = percent_decode_str(value).decode_utf8_lossy();
    let stripped = strip_level(&decoded, is_own, depth - 1)?;
    Some(utf8_percent_encode(&stripped, NESTED).to_string())
}

/// The parts of a URL between `?`, `&`, `;` and `#`, each with the delimiter before it.
fn segments(url: &str) -> impl Iterator<Item = (Option<char>, &str)> {
    let is_delimiter = |c| matches!(c, '?' | '&' | ';' | '#');
    let mut rest = Some((None, url));
    std::iter::from_fn(move || {
        let (delimiter, text) = rest?;
        let end = text.find(is_delimiter);
        rest = end.map(|end| (text[end..].chars().next(), &text[end + 1..]));
        Some((delimiter, &text[..end.unwrap_or(text.len())]))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::credential::Owned;

    fn owned() -> Owned {
        Owned::default().with_query("api key").with_query("key")
    }

    #[test]
    fn strip_removes_own_parameters_wherever_they_are() {
        for (url, expected) in [
            ("/x?key=S", "/x"),
            ("/x/?a=1&key=S", "/x/?a=1"),
            ("/x?key=S&a=1", "/x?a=1"),
            ("/x?key=S;a=1", "/x?a=1"),
            ("/x?a&key=S&b#f", "/x?a&b#f"),
            ("/x?key=S#f", "/x#f"),
            ("https://other.example/?k%65y=S&api+key=S&a", "https://other.example/?a"),
            ("/x#key=S", "/x"),
            ("/#/route?key=S&a=1", "/#/route?a=1"),
            ("/x?a=1?key=S", "/x?a=1"),
            ("/login?next=%2Fx%3Fa%3D1%26key%3DS", "/login?next=%2Fx%3Fa%3D1"),
            ("/login?next=%252Fx%253Fkey%253DS&b", "/login?next=%252Fx&b"),
            ("/login?%6Bey%3DS", "/login?"),
            ("/login?next=key%3DS%26a%3D1", "/login?next=a%3D1"),
            ("/x?a=1?key \t?key=S", "/x?a=1"),
        ] {
            assert_eq!(owned().strip_url(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn strip_leaves_other_urls_alone() {
        for url in ["", "/x", "/x?a=1&keys=2", "/key", "/x?a=key", "/x?next=%2Fx%3Fa%3D1", "/%zz?a=%"] {
            assert_eq!(owned().strip_url(url), None, "{url}");
        }
        assert_eq!(Owned::authorization().strip_url("/x?key=S"), None);
    }

    proptest! {
        #[test]
        fn stripped_url_has_no_own_parameter(url in "[a-ky=&;?#%0-9+/ ]{0,60}") {
            let left = owned().strip_url(&url).unwrap_or(url);
            prop_assert_eq!(owned().strip_url(&left), None);
            prop_assert_eq!(owned().strip_url(left.trim()), None);
        }
    }
}
