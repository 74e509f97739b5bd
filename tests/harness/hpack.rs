//! Reads HPACK blocks (RFC 7541) as they are on the wire: each field with its representation, which the `h2`
//! crate does not report.

use std::collections::VecDeque;

/// How a field is represented (RFC 7541 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// An index into the static or the dynamic table.
    Indexed,
    /// A literal that both sides insert into the dynamic table.
    Inserted,
    /// A literal that is not inserted, but that an intermediary may insert on the next hop.
    NotIndexed,
    /// A literal that no intermediary may insert either (RFC 7541 §7.1.3).
    NeverIndexed,
}

/// One field of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireField {
    pub representation: Representation,
    pub name: String,
    /// Empty if the field is an index into the static table.
    pub value: String,
}

/// The reading side of one connection.
#[derive(Default)]
pub struct HpackReader {
    /// The newest entry first. Nothing is evicted: a test inserts less than the table holds.
    inserted: VecDeque<(String, String)>,
}

impl HpackReader {
    /// The fields of one block, in their order.
    pub fn read(&mut self, mut block: &[u8]) -> Vec<WireField> {
        let mut fields = Vec::new();
        while let Some(&first) = block.first() {
            let (representation, prefix) = match first {
                0x80.. => (Representation::Indexed, 7),
                0x40.. => (Representation::Inserted, 6),
                // A change of the table's size.
                0x20.. => {
                    integer(&mut block, 5);
                    continue;
                }
                0x10.. => (Representation::NeverIndexed, 4),
                _ => (Representation::NotIndexed, 4),
            };
            let index = integer(&mut block, prefix);
            let (name, value) = match (representation, index) {
                (Representation::Indexed, _) => self.entry(index),
                (_, 0) => (string(&mut block), string(&mut block)),
                _ => (self.entry(index).0, string(&mut block)),
            };
            if representation == Representation::Inserted {
                self.inserted.push_front((name.clone(), value.clone()));
            }
            fields.push(WireField { representation, name, value });
        }
        fields
    }

    fn entry(&self, index: usize) -> (String, String) {
        match STATIC_NAMES.get(index - 1) {
            Some(name) => ((*name).to_owned(), String::new()),
            None => self.inserted[index - 1 - STATIC_NAMES.len()].clone(),
        }
    }
}

/// RFC 7541 §5.1.
fn integer(block: &mut &[u8], prefix: u32) -> usize {
    let mut next = || {
        let (&first, rest) = block.split_first().expect("an integer");
        *block = rest;
        usize::from(first)
    };
    let limit = (1 << prefix) - 1;
    let mut value = next() & limit;
    let mut shift = 0;
    while value == limit || shift > 0 {
        let byte = next();
        value += (byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// RFC 7541 §5.2.
fn string(block: &mut &[u8]) -> String {
    let is_huffman = block[0] & 0x80 != 0;
    let length = integer(block, 7);
    let (bytes, rest) = block.split_at(length);
    *block = rest;
    if is_huffman { huffman(bytes) } else { String::from_utf8(bytes.to_vec()).unwrap() }
}

/// The characters that tests use, by the length of their codes, and the first code (RFC 7541, appendix B).
const CODES: [(u32, u32, &str); 5] = [
    (5, 0x0, "012aceiost"),
    (6, 0x14, " %-./3456789=A_bdfghlmnpru"),
    (7, 0x5c, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, 0xf8, "&*,;XZ"),
    (10, 0x3f8, "!\"()?"),
];

fn huffman(bytes: &[u8]) -> String {
    let (mut text, mut code, mut length) = (String::new(), 0_u32, 0_u32);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |shift| u32::from(byte >> shift) & 1)) {
        (code, length) = (code << 1 | bit, length + 1);
        let codes = CODES.iter().find(|(of_length, ..)| *of_length == length);
        let index = codes.and_then(|(_, first, all)| Some((code.checked_sub(*first)? as usize, all)));
        if let Some(character) = index.and_then(|(index, all)| all.chars().nth(index)) {
            text.push(character);
            (code, length) = (0, 0);
        }
    }
    assert!(length < 8 && code == (1 << length) - 1, "a character that no test uses, after {text:?}");
    text
}

/// RFC 7541, appendix A.
const STATIC_NAMES: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];
