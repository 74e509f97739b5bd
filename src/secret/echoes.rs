//! Secrets that a text repeats, in the usual encodings: an upstream that shows the request it got.
//!
//! A secret is compared character by character. A letter or digit is as it is. Any other character may be as it is,
//! percent-encoded (up to three times), escaped as in JSON or JavaScript (JSON in JSON as well), or a character reference of HTML and XML.
//! One of ISO 8859-1 may be a single byte.

use std::fmt;

use memchr::memchr;
use memchr::memmem::Finder;
use zeroize::Zeroizing;

/// A value of fewer bytes is not looked for: it may be a part of anything.
const MIN_LENGTH: usize = 8;
/// What stands in place of each byte of a secret.
const MASK: u8 = b'*';
/// The characters that begin an encoding: of URLs, of JSON, of HTML.
const AMBIGUOUS: [char; 3] = ['%', '\\', '&'];

/// Secrets that no response may repeat.
#[derive(Default)]
pub struct Echoes(Box<[Echo]>);

/// One secret.
struct Echo {
    secret: Zeroizing<String>,
    /// The longest run of letters and digits, which is the same in every encoding. A text without it has none of them.
    probe: Finder<'static>,
    /// The other characters of the secret, and how each may be written.
    written: Box<[(char, Spellings)]>,
    /// The characters of the secret that begin an encoding of themselves. Each doubles the ways to read a text: one encodes the
    /// character, one does not.
    ambiguous: Box<[char]>,
}

/// How a character may be written, the longest spelling first.
type Spellings = Box<[Box<[u8]>]>;

/// What was found in a part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masked {
    /// The number of secrets, which were masked.
    pub count: u64,
    /// The number of bytes at the end that may be the first ones of a secret.
    pub pending: usize,
}

/// How a text compares with a secret.
enum Comparison {
    /// This number of bytes is the secret.
    Equal(usize),
    /// All of the text is the beginning of the secret.
    Beginning,
    Different,
}

/// Without the secrets.
impl fmt::Debug for Echoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Echoes({})", self.0.len())
    }
}

impl Echoes {
    /// These secrets, without those that are too short.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| secret.len() >= MIN_LENGTH);
        Self(secrets.map(Echo::of).collect())
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Masks the secrets in a text; its length stays. Returns how many there were.
    pub fn mask(&self, text: &mut [u8]) -> u64 {
        let mut count = 0;
        for echo in &self.0 {
            if echo.probe.find(text).is_some() {
                count += echo.mask(text, usize::MAX, true).count;
            }
        }
        count
    }

    /// Masks the secrets that begin in the first `limit` bytes of a part of a text. What the part ends with may be the beginning
    /// of one, unless it is the last part.
    pub fn mask_part(&self, text: &mut [u8], limit: usize, is_last: bool) -> Masked {
        let mut total = Masked { count: 0, pending: 0 };
        for echo in &self.0 {
            let Masked { count, pending } = echo.mask(text, limit, is_last);
            total = Masked { count: total.count + count, pending: total.pending.max(pending) };
        }
        total
    }
}

impl Echo {
    fn of(secret: &str) -> Self {
        let mut written: Vec<(char, Spellings)> = Vec::new();
        for character in secret.chars().filter(|character| !character.is_ascii_alphanumeric()) {
            if written.iter().all(|(known, _)| *known != character) {
                written.push((character, spellings(character)));
            }
        }
        let runs = secret.split(|c: char| !c.is_ascii_alphanumeric());
        let run = runs.max_by_key(|run| run.len()).unwrap_or_default();
        Self {
            secret: Zeroizing::new(secret.to_owned()),
            probe: Finder::new(run).into_owned(),
            written: written.into(),
            ambiguous: AMBIGUOUS.into_iter().filter(|character| secret.contains(*character)).collect(),
        }
    }

    fn mask(&self, text: &mut [u8], limit: usize, is_last: bool) -> Masked {
        let mut total = Masked { count: 0, pending: 0 };
        for plain in 0..1 << self.ambiguous.len() {
            let Masked { count, pending } = self.mask_as(text, limit, is_last, plain);
            total = Masked { count: total.count + count, pending: total.pending.max(pending) };
        }
        total
    }

    /// Masks the secret in one of the ways to read a text: `plain` has a bit for each of the ambiguous characters, which is set if
    /// the character is not encoded.
    fn mask_as(&self, text: &mut [u8], limit: usize, is_last: bool, plain: u8) -> Masked {
        let limit = limit.min(text.len());
        let mut masked = Masked { count: 0, pending: 0 };
        let mut from = 0;
        while let Some(start) = self.next_start(&text[..limit], from) {
            from = start + 1;
            match self.compare(&text[start..], is_last, plain) {
                Comparison::Equal(length) => {
                    from = start + length;
                    text[start..from].fill(MASK);
                    masked.count += 1;
                }
                Comparison::Beginning => masked.pending = masked.pending.max(text.len() - start),
                Comparison::Different => {}
            }
        }
        masked
    }

    /// Where the next byte is that the secret may begin with.
    fn next_start(&self, text: &[u8], from: usize) -> Option<usize> {
        let text = text.get(from..)?;
        let first = self.secret.chars().next()?;
        let at = match self.spellings_of(first) {
            None => memchr(u8::try_from(first).ok()?, text),
            Some(spellings) => {
                let begins = |byte: &u8| spellings.iter().any(|spelling| spelling.first() == Some(byte));
                text.iter().position(begins)
            }
        };
        at.map(|at| from + at)
    }

    fn spellings_of(&self, character: char) -> Option<&Spellings> {
        if character.is_ascii_alphanumeric() {
            return None;
        }
        self.written.iter().find(|(known, _)| *known == character).map(|(_, spellings)| spellings)
    }

    /// Compares the front of a text with the secret.
    fn compare(&self, text: &[u8], is_last: bool, plain: u8) -> Comparison {
        let mut at = 0;
        for character in self.secret.chars() {
            let rest = &text[at..];
            let Some(spellings) = self.spellings_of(character) else {
                match rest.first() {
                    Some(byte) if char::from(*byte) == character => at += 1,
                    None if !is_last => return Comparison::Beginning,
                    _ => return Comparison::Different,
                }
                continue;
            };
            let begins = |spelling: &[u8]| {
                rest.len() < spelling.len() && rest.eq_ignore_ascii_case(&spelling[..rest.len()])
            };
            let is_here = |spelling: &[u8]| {
                rest.get(..spelling.len()).is_some_and(|front| front.eq_ignore_ascii_case(spelling))
            };
            let position = self.ambiguous.iter().position(|known| *known == character);
            let is_plain = position.is_some_and(|bit| plain >> bit & 1 == 1);
            let mut longest = spellings.iter();
            let mut shortest = spellings.iter().rev();
            let found = loop {
                let next = if is_plain { shortest.next() } else { longest.next() };
                let Some(spelling) = next else { return Comparison::Different };
                if is_here(spelling) {
                    break spelling.len();
                }
                if !is_last && begins(spelling) {
                    return Comparison::Beginning;
                }
            };
            at += found;
        }
        Comparison::Equal(at)
    }
}

/// How a character that is neither a letter nor a digit may be written.
fn spellings(character: char) -> Spellings {
    let mut bytes = [0; 4];
    let plain = character.encode_utf8(&mut bytes);
    let code = u32::from(character);
    let mut units = [0; 2];
    let units = character.encode_utf16(&mut units);
    let json: Vec<_> = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let mut all = vec![
        plain.to_owned(),
        plain.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat(),
        json.concat(),
        format!("&#{code};"),
        format!("&#{code:03};"),
        format!("&#x{code:x};"),
        format!("&#x{code:04x};"),
    ];
    // A URL in a parameter of another one, as in `/login?next=…`. Of `%` itself this would be another text than the escape.
    if character != '%' {
        for percent in ["%25", "%2525"] {
            all.push(plain.bytes().map(|byte| format!("{percent}{byte:02X}")).collect::<Vec<_>>().concat());
        }
    }
    // A text of JSON in a text of JSON. Of the backslash itself this would be another text than the escape.
    if character != '\\' {
        all.push(json.iter().map(|unit| format!("\\{unit}")).collect::<Vec<_>>().concat());
    }
    if code < 0x100 {
        all.push(format!("\\x{code:02x}"));
        all.push(format!("%{code:02X}"));
    }
    match character {
        '\\' => all.push("\\\\".into()),
        '"' => all.extend(["\\\"".into(), "\\\\\\\"".into()]),
        _ if character.is_ascii_punctuation() => {
            all.extend([format!("\\{character}"), format!("\\\\{character}")]);
        }
        _ => {}
    }
    all.extend(references(character).iter().map(|name| format!("&{name};")));
    if character == ' ' {
        all.push("+".into());
    }
    let mut all: Vec<_> = all.into_iter().map(String::into_bytes).collect();
    if let (Ok(byte), false) = (u8::try_from(character), character.is_ascii()) {
        all.push(vec![byte]);
    }
    all.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
    all.dedup();
    all.into_iter().map(Vec::into_boxed_slice).collect()
}

/// The names of a character in HTML, as encoders write them.
fn references(character: char) -> &'static [&'static str] {
    match character {
        '!' => &["excl"],
        '"' => &["quot", "QUOT"],
        '#' => &["num"],
        '$' => &["dollar"],
        '%' => &["percnt"],
        '&' => &["amp", "AMP"],
        '\'' => &["apos"],
        '(' => &["lpar"],
        ')' => &["rpar"],
        '*' => &["ast", "midast"],
        '+' => &["plus"],
        ',' => &["comma"],
        '.' => &["period"],
        '/' => &["sol"],
        ':' => &["colon"],
        ';' => &["semi"],
        '<' => &["lt"],
        '=' => &["equals"],
        '>' => &["gt"],
        '?' => &["quest"],
        '@' => &["commat"],
        '[' => &["lsqb", "lbrack"],
        '\\' => &["bsol"],
        ']' => &["rsqb", "rbrack"],
        '^' => &["Hat"],
        '_' => &["lowbar", "UnderBar"],
        '`' => &["grave"],
        '{' => &["lcub", "lbrace"],
        '|' => &["verbar", "vert"],
        '}' => &["rcub", "rbrace"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
