//! `Link` (RFC 8288 §3): a list of URLs in angle brackets, each with parameters.

use std::ops::Range;

/// Where the targets of a `Link` value are, without their brackets.
///
/// They are found as RFC 8288 §B.2 does, which ends at the first part that is not well-formed. This goes on there at the next
/// bracket, because recipients do so as well.
pub(super) fn targets(value: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + value[at..].find('<')? + 1;
        let end = start + value[start..].find('>')?;
        at = value.len() - after_parameters(&value[end + 1..]).len();
        Some(start..end)
    })
}

/// What follows the parameters at the front of `rest` (RFC 8288 §B.3). A quotation mark quotes only at the beginning of the
/// value of a parameter.
fn after_parameters(mut rest: &str) -> &str {
    while let Some(parameter) = after_blanks(rest).strip_prefix(';') {
        rest = after_blanks(parameter).trim_start_matches(|c| !matches!(c, ' ' | '\t' | '=' | ';' | ','));
        if let Some(value) = after_blanks(rest).strip_prefix('=') {
            let value = after_blanks(value);
            rest = match value.strip_prefix('"') {
                Some(quoted) => after_quoted(quoted),
                None => value.trim_start_matches(|c| !matches!(c, ';' | ',')),
            };
        }
    }
    rest
}

/// What follows a quoted string whose first quotation mark was read (RFC 8288 §B.4).
fn after_quoted(quoted: &str) -> &str {
    let mut is_escaped = false;
    let end = quoted.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.map_or("", |end| &quoted[end + 1..])
}

fn after_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
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
            ("<a>; t=\"x\\\\\", <b>", &["a", "b"]),
            ("<a> ; t = \"x, <b>\" ; u=\", <c>\",<d>", &["a", "d"]),
            // A quotation mark that begins no value.
            ("<a>; title=<\"\u{e9}, <x>\", <b>", &["a", "x", "b"]),
            ("<a>; t=5\", <b>; t=6\"", &["a", "b"]),
            ("<a>; \", <b>", &["a", "b"]),
            ("<a>; t=u=\", <b>", &["a", "b"]),
            // Not well-formed.
            ("x, <a>", &["a"]),
            ("<a><b>; t=\"c\" <d> \", <e>", &["a", "b", "d", "e"]),
        ] {
            let found: Vec<_> = targets(value).map(|range| &value[range]).collect();
            assert_eq!(found, expected, "{value}");
        }
    }
}
