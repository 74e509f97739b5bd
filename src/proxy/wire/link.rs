//! `Link` (RFC 8288 §3): a list of URLs in angle brackets, each with parameters.

use std::ops::Range;

/// Where the URLs of a `Link` value are: the targets, without their brackets, and the contexts (`anchor`, RFC 8288 §3.2). A
/// client ignores a link whose context is not the resource that it has asked for.
///
/// They are found as RFC 8288 §B.2 does, which ends at the first part that is not well-formed. This goes on there at the next
/// bracket, because recipients do so as well.
pub(super) fn urls(value: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    let mut anchor = None;
    std::iter::from_fn(move || {
        if let Some(anchor) = anchor.take() {
            return Some(anchor);
        }
        let start = at + value[at..].find('<')? + 1;
        let end = start + value[start..].find('>')?;
        let (rest, found) = after_parameters(&value[end + 1..]);
        at = value.len() - rest.len();
        anchor = found.map(|found| end + 1 + found.start..end + 1 + found.end);
        Some(start..end)
    })
}

/// What follows the parameters at the front of `parameters` (RFC 8288 §B.3), and where the value of `anchor` is in them. A
/// quotation mark quotes only at the beginning of the value of a parameter.
fn after_parameters(parameters: &str) -> (&str, Option<Range<usize>>) {
    let mut anchor = None;
    let mut rest = parameters;
    while let Some(parameter) = after_blanks(rest).strip_prefix(';') {
        let name = after_blanks(parameter);
        rest = name.trim_start_matches(|c| !matches!(c, ' ' | '\t' | '=' | ';' | ','));
        let is_anchor = name[..name.len() - rest.len()].eq_ignore_ascii_case("anchor");
        if let Some(value) = after_blanks(rest).strip_prefix('=') {
            let value = after_blanks(value);
            let (content, after) = match value.strip_prefix('"') {
                Some(quoted) => (quoted, after_quoted(quoted)),
                None => (value, value.trim_start_matches(|c| !matches!(c, ';' | ','))),
            };
            if is_anchor && anchor.is_none() {
                let content = content[..content.len() - after.len()].trim_end_matches('"');
                let start = content.as_ptr() as usize - parameters.as_ptr() as usize;
                anchor = Some(start..start + content.len());
            }
            rest = after;
        }
    }
    (rest, anchor)
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
            (
                "<a>; rel=next; Anchor=\"b\", <c>; anchor=d ;x, <e>; anchor=\"\"",
                &["a", "b", "c", "d ", "e", ""],
            ),
            ("<a>; anchor=\"b, <c>\"; anchor=d; anchors=e", &["a", "b, <c>"]),
            ("<a>; title=\"; anchor=b\"; anchor=\"open", &["a", "open"]),
            // A quotation mark that begins no value.
            ("<a>; title=<\"\u{e9}, <x>\", <b>", &["a", "x", "b"]),
            ("<a>; t=5\", <b>; t=6\"", &["a", "b"]),
            ("<a>; \", <b>", &["a", "b"]),
            ("<a>; t=u=\", <b>", &["a", "b"]),
            // Not well-formed.
            ("x, <a>", &["a"]),
            ("<a><b>; t=\"c\" <d> \", <e>", &["a", "b", "d", "e"]),
        ] {
            let found: Vec<_> = urls(value).map(|range| &value[range]).collect();
            assert_eq!(found, expected, "{value}");
        }
    }
}
