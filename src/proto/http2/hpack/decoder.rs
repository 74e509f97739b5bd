//! Reads field blocks (RFC 7541 §6).

use std::cell::Cell;

use super::dynamic_table::{DynamicTable, ENTRY_OVERHEAD};
use super::{huffman, integer, static_table};
use crate::proto::http2::Reason;

/// The capacity for decoded strings that is kept.
const KEPT_CAPACITY: usize = 4096;

/// The limit on the fields of a block, in sizes of the largest head. They can be thousands of times as large as the block, and
/// must be read to the end, because later blocks depend on them.
const MAX_HEADS: usize = 4;

/// A field block that is not read to its end. The connection must end, because the tables of both sides may differ (RFC 9113
/// §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockError {
    Invalid,
    TooLarge,
}

impl From<BlockError> for Reason {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Invalid => Self::COMPRESSION_ERROR,
            BlockError::TooLarge => Self::ENHANCE_YOUR_CALM,
        }
    }
}

/// Reads the field blocks of one direction of a connection.
pub(crate) struct Decoder {
    table: DynamicTable,
    /// Strings that were in Huffman code.
    decoded: Vec<u8>,
    /// The limit on the fields of a block.
    max_size: usize,
}

/// Where a field's name is.
enum Name<'a> {
    Literal(Text<'a>),
    /// The index in both tables.
    Indexed(usize),
}

impl Decoder {
    /// `table_size` is the size of the dynamic table (SETTINGS_HEADER_TABLE_SIZE) that the other side may use, and `max_head` that of
    /// the largest head (SETTINGS_MAX_HEADER_LIST_SIZE).
    pub(crate) fn new(table_size: usize, max_head: usize) -> Self {
        let max_size = MAX_HEADS.saturating_mul(max_head);
        Self { table: DynamicTable::new(table_size), decoded: Vec::new(), max_size }
    }

    /// Reads a whole block, and gives each name and value to `sink`.
    pub(crate) fn decode(
        &mut self,
        mut block: &[u8],
        mut sink: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), BlockError> {
        // The size of the dynamic table is changed at the beginning of a block only (RFC 7541 §4.2).
        while let Some(0x20..0x40) = block.first() {
            let size = integer::take(&mut block, 5).ok_or(BlockError::Invalid)?;
            self.table.resize(size).ok_or(BlockError::Invalid)?;
        }
        let size = Cell::new(0);
        let mut sink = |name: &[u8], value: &[u8]| {
            size.set(size.get() + name.len() + value.len() + ENTRY_OVERHEAD);
            sink(name, value);
        };
        while let Some(&first) = block.first() {
            self.field(first, &mut block, &mut sink).ok_or(BlockError::Invalid)?;
            if size.get() > self.max_size {
                return Err(BlockError::TooLarge);
            }
        }
        if self.decoded.capacity() > KEPT_CAPACITY {
            self.decoded = Vec::new();
        }
        Ok(())
    }

    fn field(&mut self, first: u8, block: &mut &[u8], sink: &mut impl FnMut(&[u8], &[u8])) -> Option<()> {
        if first & 0x80 != 0 {
            let (name, value) = self.get(integer::take(block, 7)?)?;
            sink(name, value);
            return Some(());
        }
        let is_added = match first {
            0x40.. => true,
            0x20.. => return None,
            _ => false,
        };
        let name = match integer::take(block, if is_added { 6 } else { 4 })? {
            0 => Name::Literal(Text::take(block)?),
            index => Name::Indexed(index),
        };
        let value = Text::take(block)?;
        self.decoded.clear();
        let mut decoded = std::mem::take(&mut self.decoded);
        let name_end = match &name {
            Name::Literal(text) => text.decode(&mut decoded)?,
            Name::Indexed(_) => 0,
        };
        value.decode(&mut decoded)?;
        let value = value.of(&decoded[name_end..]);
        match name {
            Name::Literal(text) => {
                let name = text.of(&decoded[..name_end]);
                sink(name, value);
                if is_added {
                    self.table.insert(name, value);
                }
            }
            Name::Indexed(index) => {
                sink(self.get(index)?.0, value);
                if is_added {
                    match index.checked_sub(static_table::LENGTH + 1) {
                        None => self.table.insert(static_table::FIELDS[index - 1].0.as_bytes(), value),
                        Some(index) => self.table.insert_with_name_of(index, value),
                    }
                }
            }
        }
        self.decoded = decoded;
        Some(())
    }

    /// The field with this index in both tables; `None` if there is none.
    fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        match static_table::FIELDS.get(index) {
            Some((name, value)) => Some((name.as_bytes(), value.as_bytes())),
            None => self.table.get(index - static_table::LENGTH),
        }
    }
}

/// A string as it is on the wire (RFC 7541 §5.2).
#[derive(Clone, Copy)]
struct Text<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

impl<'a> Text<'a> {
    /// Takes a string from the front of a block.
    fn take(block: &mut &'a [u8]) -> Option<Self> {
        let is_huffman = block.first()? & 0x80 != 0;
        let length = integer::take(block, 7)?;
        let (bytes, rest) = block.split_at_checked(length)?;
        *block = rest;
        Some(Self { bytes, is_huffman })
    }

    /// Appends the string to `decoded`, if it is in Huffman code; returns the length of `decoded`.
    fn decode(self, decoded: &mut Vec<u8>) -> Option<usize> {
        if self.is_huffman {
            huffman::decode(self.bytes, decoded)?;
        }
        Some(decoded.len())
    }

    /// The string, where `decoded` has it if it was in Huffman code.
    fn of<'s>(self, decoded: &'s [u8]) -> &'s [u8]
    where
        'a: 's,
    {
        if self.is_huffman { decoded } else { self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    const MAX_HEAD: usize = 64 * 1024;

    fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<String, BlockError> {
        let mut fields = String::new();
        decoder.decode(block, |name, value| {
            writeln!(fields, "{}: {}", name.escape_ascii(), value.escape_ascii()).unwrap();
        })?;
        Ok(fields)
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn requests_of_the_rfc_are_decoded() {
        let fields = [
            ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n",
            ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache\n",
            ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n",
        ];
        // RFC 7541 §C.3, and §C.4 with Huffman code.
        for blocks in [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
                "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ] {
            let mut decoder = Decoder::new(4096, MAX_HEAD);
            for (block, fields) in blocks.iter().zip(fields) {
                assert_eq!(decode(&mut decoder, &hex(block)).as_deref(), Ok(fields));
            }
        }
    }

    #[test]
    fn responses_of_the_rfc_evict_fields() {
        // RFC 7541 §C.6: the table has 256 bytes.
        let mut decoder = Decoder::new(256, MAX_HEAD);
        let blocks = [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718
             63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7
             b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ];
        let fields = [
            ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n\
             location: https://www.example.com\n",
            ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\n\
             location: https://www.example.com\n",
            ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n\
             location: https://www.example.com\ncontent-encoding: gzip\n\
             set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n",
        ];
        for (block, fields) in blocks.iter().zip(fields) {
            assert_eq!(decode(&mut decoder, &hex(block)).as_deref(), Ok(fields));
        }
    }

    #[test]
    fn literals_of_every_representation_are_decoded() {
        for (block, fields) in [
            (&b"\x40\x01a\x01b"[..], "a: b\n"),
            (b"\x00\x01a\x01b", "a: b\n"),
            (b"\x10\x01a\x00", "a: \n"),
            (b"\x0f\x00\x01b", "accept-charset: b\n"),
            (b"\x3f\xe1\x1f\x20\x82", ":method: GET\n"),
            (b"", ""),
        ] {
            assert_eq!(
                decode(&mut Decoder::new(4096, MAX_HEAD), block).as_deref(),
                Ok(fields),
                "{}",
                block.escape_ascii()
            );
        }
    }

    #[test]
    fn block_that_is_cut_or_not_valid_is_an_error() {
        for block in [
            &b"\x80"[..],
            b"\xbe",
            b"\xff",
            b"\xff\x80\x80\x80\x80\x00",
            b"\x40",
            b"\x40\x01",
            b"\x40\x01x",
            b"\x40\x01x\x05abcd",
            b"\x40\x01x\x7f\xff\xff\xff\x7f",
            b"\x0f\x30\x01x",
            b"\x3f\x80",
            b"\x04\x81\x00",
            // A size of the table that is too large, and one behind a field.
            b"\x3f\xe2\x1f",
            b"\x82\x20",
        ] {
            assert_eq!(
                decode(&mut Decoder::new(4096, MAX_HEAD), block),
                Err(BlockError::Invalid),
                "{}",
                block.escape_ascii()
            );
        }
    }

    #[test]
    fn block_with_fields_that_are_too_large_is_an_error() {
        // A name of 3900 bytes, and references to it of one or two bytes.
        let name = [b"\x40\x7f\xbd\x1d".as_slice(), &[b'n'; 3900], b"\x00"].concat();
        for reference in [b"\xbe".as_slice(), b"\x7e\x00", b"\x0f\x2f\x00"] {
            let block = |count| [name.clone(), reference.repeat(count)].concat();
            assert!(decode(&mut Decoder::new(4096, MAX_HEAD), &block(65)).is_ok());
            assert_eq!(decode(&mut Decoder::new(4096, MAX_HEAD), &block(66)), Err(BlockError::TooLarge));
        }
    }

    proptest! {
        #[test]
        fn any_blocks_are_decoded_without_panic(blocks in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let mut decoder = Decoder::new(4096, MAX_HEAD);
            for block in blocks {
                let mut size = 0;
                let _ = decoder.decode(&block, |name, value| size += name.len() + value.len());
                prop_assert!(decoder.decoded.capacity() <= KEPT_CAPACITY);
            }
        }
    }
}
