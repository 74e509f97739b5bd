//! `Link` (RFC 8288 §3): a list of URLs in angle brackets, each with parameters.

use std::ops::Range;

/// Where the targets of a `Link` value are, without their brackets. Ends at the first part that is not well-formed.
pub(super) fn targets(value: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += value[at..].len() - value[at..].trim_start_matches([' ', '\t', ',']).len();
        let start = at + value[at..].strip_prefix('<').map(|_| 1)?;
        let end = start + value[start..].find('>')?;
        at = end_of_parameters(value, end + 1);
        Some(start..end)
    })
}

/// The position of the comma that ends a link's parameters; commas in quoted strings do not count.
fn end_of_parameters(value: &str, from: usize) -> usize {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, byte) in value.bytes().enumerate().skip(from) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return at,
            _ => {}
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_in_lists() {
        for (value, expected) in [
            (
                "<https://a/x?page=2>; rel=\"next\", <https://a/x?page=9>; rel=last",
                &["https://a/x?page=2", "https://a/x?page=9"][..],
            ),
            ("<a>,<b>;x=\"<c>, \\\"<d>\" ,, <e>", &["a", "b", "e"]),
            (" , <>;rel=self", &[""]),
            ("a", &[]),
            ("<a", &[]),
            ("", &[]),
            ("<a>; title=\"\u{e9}, <x>\", <b>", &["a", "b"]),
            ("<a>; t=\"open, <b>", &["a"]),
        ] {
            let found: Vec<_> = targets(value).map(|range| &value[range]).collect();
            assert_eq!(found, expected, "{value}");
        }
    }
}
