//! Secrets that a text repeats, in the usual encodings: an upstream that shows the request it got.

use std::fmt;

use form_urlencoded::byte_serialize;
use memchr::memmem;
use memchr::memmem::Finder;
use zeroize::Zeroizing;

/// A value of fewer bytes is not looked for: it may be a part of anything.
const MIN_LENGTH: usize = 8;
/// What stands in place of each byte of a secret.
const MASK: u8 = b'*';

/// Secrets that no response may repeat.
#[derive(Default)]
pub struct Echoes(Box<[Echo]>);

/// The forms of one secret.
struct Echo {
    /// The longest run of letters and digits, which is the same in every form. If a text does not have it, it has no form.
    probe: Finder<'static>,
    forms: Vec<Zeroizing<Vec<u8>>>,
}

/// Without the forms, which are the secret.
impl fmt::Debug for Echoes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Echoes({})", self.0.len())
    }
}

impl Echoes {
    /// The forms of these secrets: as they are, as in a form, and with every byte but letters and digits encoded.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| secret.len() >= MIN_LENGTH);
        Self(secrets.map(Echo::of).collect())
    }

    /// Masks the secrets in a text; its length stays. Returns how many there were.
    pub fn mask(&self, text: &mut [u8]) -> u64 {
        self.0.iter().map(|echo| echo.mask(text)).sum()
    }
}

impl Echo {
    fn of(secret: &str) -> Self {
        let form: String = byte_serialize(secret.as_bytes()).collect();
        let [upper, lower] = [b"0123456789ABCDEF", b"0123456789abcdef"].map(|digits| encoded(secret, digits));
        let mut forms: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for text in [upper, lower, form, secret.to_owned()] {
            let text = Zeroizing::new(text.into_bytes());
            if !forms.contains(&text) {
                forms.push(text);
            }
        }
        let runs = secret.split(|c: char| !c.is_ascii_alphanumeric());
        let run = runs.max_by_key(|run| run.len()).unwrap_or_default();
        Self { probe: Finder::new(run).into_owned(), forms }
    }

    fn mask(&self, text: &mut [u8]) -> u64 {
        if self.probe.find(text).is_none() {
            return 0;
        }
        let mut count = 0;
        for form in &self.forms {
            let mut from = 0;
            while let Some(at) = memmem::find(&text[from..], form) {
                let found = from + at..from + at + form.len();
                from = found.end;
                text[found].fill(MASK);
                count += 1;
            }
        }
        count
    }
}

/// The text with every byte but letters and digits as `%XX`.
fn encoded(text: &str, digits: &[u8; 16]) -> String {
    let mut encoded = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(|digit| char::from(digits[usize::from(digit)])));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_masked_in_every_form_and_the_length_stays() {
        let echoes = Echoes::of(["S3cret/k+y=1", "short", "/+/+/+/+"]);
        let mut text =
            b"X: S3cret/k+y=1, S3cret%2Fk%2By%3D1, S3cret%2fk%2by%3d1, S3cret, short, /+/+/+/+\r\n".to_vec();
        let expected = text.len();
        assert_eq!(echoes.mask(&mut text), 4);
        assert_eq!(text.len(), expected);
        let text = String::from_utf8(text).unwrap().replace('*', "");
        assert_eq!(text, "X: , , , S3cret, short, \r\n");
        assert_eq!(Echoes::default().mask(&mut b"S3cret/k+y=1".to_vec()), 0);
        assert!(!format!("{echoes:?}").contains("S3cret"));
    }

    #[test]
    fn secret_of_asterisks_ends_the_search() {
        assert_eq!(Echoes::of(["********"]).mask(&mut b"a ******** b".to_vec()), 1);
    }
}
