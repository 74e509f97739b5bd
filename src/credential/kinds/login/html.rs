//! The value of an element of HTML by its name: `<input name="csrf" value="…">`, `<meta name="csrf" content="…">`.
//!
//! This is no parser of HTML. It finds start tags outside of comments, and reads their attributes as the standard says
//! (HTML §13.2.5.33 and following).

/// An element that has a name and a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::credential) enum Element {
    Input,
    Meta,
}

impl Element {
    fn tag(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Meta => "meta",
        }
    }

    /// The attribute that has the value.
    fn attribute(self) -> &'static str {
        match self {
            Self::Input => "value",
            Self::Meta => "content",
        }
    }
}

/// The value of the first element of this name; `None` if there is none.
pub(in crate::credential) fn value(html: &str, element: Element, name: &str) -> Option<String> {
    let mut rest = html;
    loop {
        rest = &rest[rest.find('<')? + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = &comment[comment.find("-->")?..];
            continue;
        }
        let tag = element.tag();
        let is_tag = rest.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
        if !is_tag {
            continue;
        }
        let attributes = &rest[tag.len()..];
        if !attributes.starts_with(|c: char| c.is_ascii_whitespace() || c == '/') {
            continue;
        }
        let (mut own_name, mut value) = (None, None);
        for (attribute, text) in Attributes(attributes) {
            // The first of two attributes of a name counts.
            if attribute.eq_ignore_ascii_case("name") {
                own_name.get_or_insert(text);
            } else if attribute.eq_ignore_ascii_case(element.attribute()) {
                value.get_or_insert(text);
            }
        }
        if own_name.is_some_and(|own| decoded(own) == name) {
            return value.map(decoded);
        }
    }
}

/// The attributes of a start tag, behind its name.
struct Attributes<'a>(&'a str);

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let is_space = |c: char| c.is_ascii_whitespace();
        let rest = self.0.trim_start_matches(|c: char| is_space(c) || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return None;
        }
        // An `=` at the start belongs to the name.
        let end = rest.char_indices().skip(1).find(|(_, c)| is_space(*c) || matches!(c, '/' | '>' | '='));
        let (name, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        let Some(text) = after.trim_start_matches(is_space).strip_prefix('=') else {
            self.0 = after;
            return Some((name, ""));
        };
        let text = text.trim_start_matches(is_space);
        let (value, after) = match text.chars().next() {
            Some(quote @ ('"' | '\'')) => text[1..].split_once(quote)?,
            _ => text.split_at(text.find(|c: char| is_space(c) || c == '>').unwrap_or(text.len())),
        };
        self.0 = after;
        Some((name, value))
    }
}

/// A text without character references: those by number, and the five that every writer of HTML uses.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let reference = after.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        if let Some((found, after)) = reference {
            out.push(found);
            rest = after;
        } else {
            out.push('&');
            rest = after;
        }
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn value_is_that_of_the_element_of_the_name() {
        for (html, expected) in [
            (r#"<form><input type="hidden" name="t" value="abc"></form>"#, Some("abc")),
            ("<INPUT VALUE=abc NAME=t>", Some("abc")),
            ("<input name='t' value='a&amp;b&#x27;&#39;&quot;&unknown;&'/>", Some("a&b''\"&unknown;&")),
            ("<input\n  name = \"t\"\n  value = \"a > b\"\n>", Some("a > b")),
            ("<input name=other value=no><input name=t value=yes>", Some("yes")),
            ("<!-- <input name=t value=no> --><input name=t value=yes>", Some("yes")),
            ("<input name=t name=x value=one value=two>", Some("one")),
            ("<input name=t>", None),
            ("<inputs name=t value=no>", None),
            ("<textarea name=t value=no>", None),
            ("<meta name=t content=no>", None),
            ("<input name=t value=\"no", None),
            ("<input name=T value=no>", None),
            ("<", None),
            ("<!-- <input name=t value=no>", None),
        ] {
            assert_eq!(value(html, Element::Input, "t").as_deref(), expected, "{html}");
        }
        assert_eq!(
            value("<meta name='csrf-token' content='a=='>", Element::Meta, "csrf-token").as_deref(),
            Some("a==")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(html in "[<>/=\"'&;# a-zé!\\-input]{0,64}") {
            let _ = value(&format!("<input {html}"), Element::Input, "a");
            let _ = value(&html, Element::Input, "a");
        }

        #[test]
        fn value_that_was_written_is_found(text in "[ -~]{1,24}", before in "[ a-z<>]{0,16}") {
            let written = text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
            let html = format!("{before}<input name=\"t\" value=\"{written}\">");
            prop_assert_eq!(value(&html, Element::Input, "t"), Some(text));
        }
    }
}
