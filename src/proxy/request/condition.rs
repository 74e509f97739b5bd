//! `If` (RFC 4918 §10.4): lists of conditions, each about the resource in front of it, or about that of the request.

use std::ops::Range;

/// Where the URLs of the resources are, without their brackets: those outside of the lists, whose brackets hold tokens.
pub(super) fn resources(value: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &value[at..];
            let next = rest.find(['<', '('])?;
            let inner = &rest[next + 1..];
            let start = at + next + 1;
            if rest[next..].starts_with('<') {
                let length = inner.find('>')?;
                at = start + length + 1;
                return Some(start..start + length);
            }
            at = start + list_length(inner)?;
        }
    })
}

/// The length of a list without its first parenthesis. An entity tag in it may have a parenthesis.
fn list_length(list: &str) -> Option<usize> {
    let mut is_quoted = false;
    let end = list.find(|c| {
        is_quoted ^= c == '"';
        c == ')' && !is_quoted
    })?;
    Some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_outside_of_lists() {
        for (value, expected) in [
            ("<http://a/x> (<opaquelocktoken:1> [\"e\"])", &["http://a/x"][..]),
            ("</x>(<urn:1>)(Not <DAV:no-lock>) <http://a/y> ([\"a)b<c>\"])", &["/x", "http://a/y"]),
            ("(<urn:uuid:1>)", &[]),
            ("( [W/\"e\"] ) <x> (<urn:1>)", &["x"]),
            ("", &[]),
            ("<x", &[]),
            ("(<x>", &[]),
            ("(\"é)<x>\")<ü>", &["ü"]),
        ] {
            let found: Vec<_> = resources(value).map(|place| &value[place]).collect();
            assert_eq!(found, expected, "{value}");
        }
    }
}
