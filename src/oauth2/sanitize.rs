//! Text of a stranger, fit for a log, a page or a terminal.

/// Characters of a text that are kept.
pub(crate) const MAX_CHARACTERS: usize = 200;

/// Text of a stranger, fit for a log: short, on one line, ASCII.
pub fn sanitize(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(MAX_CHARACTERS).map(keep).collect()
}
