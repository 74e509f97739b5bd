//! Makes text from outside fit for a log, a page or a terminal.

/// Maximum length of a sanitized text, in characters.
pub(crate) const MAX_CHARACTERS: usize = 200;

/// What stands at the end of a text that was shortened.
const CUT: &str = "...";

/// Text from outside, shortened, on one line, in ASCII. Any other character becomes a question mark.
pub fn sanitize(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let is_short = text.chars().nth(MAX_CHARACTERS).is_none();
    let kept = if is_short { MAX_CHARACTERS } else { MAX_CHARACTERS - CUT.len() };
    let mut sanitized: String = text.chars().take(kept).map(keep).collect();
    if !is_short {
        sanitized.push_str(CUT);
    }
    sanitized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_shortened_says_so() {
        assert_eq!(sanitize("a\nb\u{e9}"), "a?b?");
        let whole = "x".repeat(MAX_CHARACTERS);
        assert_eq!(sanitize(&whole), whole);
        let cut = sanitize(&(whole + "y"));
        assert!(cut.len() == MAX_CHARACTERS && cut.ends_with("x..."), "{cut}");
    }
}
