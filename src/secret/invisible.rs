//! Invisible characters, which a secret and the texts of the configuration may not contain. They come with a file that an editor saved
//! with a byte order mark, or with text that was copied from a web page. A server that compares the secret finds
//! another one, and nothing on the screen shows why.

use std::fmt;
use std::ops::RangeInclusive;

/// Characters that are displayed as nothing: `Default_Ignorable_Code_Point` of Unicode 16, the interlinear
/// annotation characters, and the blank of Braille patterns.
const IGNORABLE: [RangeInclusive<char>; 19] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
    '\u{fdd0}'..='\u{fdef}',
];

/// Names of the characters that are found most often.
const NAMES: [(char, &str); 17] = [
    ('\0', "NUL"),
    ('\t', "tab"),
    ('\n', "newline"),
    ('\r', "carriage return"),
    ('\u{1b}', "escape"),
    ('\u{a0}', "no-break space"),
    ('\u{ad}', "soft hyphen"),
    ('\u{200b}', "zero width space"),
    ('\u{200c}', "zero width non-joiner"),
    ('\u{200d}', "zero width joiner"),
    ('\u{200e}', "left-to-right mark"),
    ('\u{200f}', "right-to-left mark"),
    ('\u{202f}', "narrow no-break space"),
    ('\u{2060}', "word joiner"),
    ('\u{3000}', "ideographic space"),
    ('\u{fe0f}', "variation selector-16"),
    ('\u{feff}', "byte order mark"),
];

/// A character in a text, and where it is. It says nothing of the rest of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Character {
    /// The character.
    pub character: char,
    /// Its position in characters, counted from 1.
    pub position: usize,
}

impl Character {
    /// The first control character or invisible character of a text.
    pub fn first_unseen(text: &str) -> Option<Self> {
        Self::first(text, |character| character.is_control() || is_invisible(character))
    }

    /// The first invisible character of a text, in which control characters are another matter.
    pub fn first_invisible(text: &str) -> Option<Self> {
        Self::first(text, is_invisible)
    }

    /// The first character of a text that is of some kind.
    pub(super) fn first(text: &str, is_meant: impl Fn(char) -> bool) -> Option<Self> {
        let found = text.chars().enumerate().find(|(_, character)| is_meant(*character));
        found.map(|(index, character)| Self { character, position: index + 1 })
    }
}

/// For example `the invisible character U+FEFF (byte order mark) at position 1`.
impl fmt::Display for Character {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.character.is_control() { "control" } else { "invisible" };
        write!(f, "the {kind} character U+{:04X}", u32::from(self.character))?;
        if let Some((_, name)) = NAMES.iter().find(|(character, _)| *character == self.character) {
            write!(f, " ({name})")?;
        }
        write!(f, " at position {}", self.position)
    }
}

/// Whether a character is displayed as nothing, or as a space. A password has no white space but the space
/// itself (RFC 8265 §4.2.2 replaces the others).
pub fn is_invisible(character: char) -> bool {
    let is_noncharacter = u32::from(character) & 0xfffe == 0xfffe;
    let is_other_space = character.is_whitespace() && !character.is_ascii();
    is_noncharacter || is_other_space || IGNORABLE.iter().any(|range| range.contains(&character))
}

/// Whether the content of a file begins with the byte order mark of UTF-8.
pub fn begins_with_byte_order_mark(content: &[u8]) -> bool {
    content.starts_with("\u{feff}".as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn invisible_characters_are_found_and_named() {
        for (character, name) in NAMES {
            let found = Character::first_unseen(&format!("é{character}x"));
            let said = found.unwrap_or_else(|| panic!("{name}")).to_string();
            let code_point = format!("U+{:04X} ({name}) at position 2", u32::from(character));
            assert!(said.ends_with(&code_point), "{said}");
        }
        for code_point in
            [0x2003, 0x2028, 0x205f, 0x2066, 0x1160, 0x180e, 0xfffe, 0xfff9, 0x1_ffff, 0xe_0041, 0xe_0100]
        {
            assert!(is_invisible(char::from_u32(code_point).unwrap()), "U+{code_point:04X}");
        }
    }

    #[test]
    fn visible_characters_are_allowed() {
        // The replacement character is visible, and shows that a text was converted wrongly.
        for character in " !~aé€ßżДשعあ漢한👍\u{301}\u{fffd}".chars() {
            assert!(!is_invisible(character), "U+{:04X}", u32::from(character));
        }
    }
}
