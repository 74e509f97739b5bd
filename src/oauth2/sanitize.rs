//! Makes text from outside fit for a log, a page or a terminal.

/// Maximum length of a sanitized text, in characters.
pub(crate) const MAX_CHARACTERS: usize = 200;

/// Text from outside, shortened, on one line, in ASCII. Any other character becomes a question mark.
pub fn sanitize(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(MAX_CHARACTERS).map(keep).collect()
}
