//! The representations of fields in a field block (HPACK, RFC 7541 §6), without their meaning.

use super::huffman;
use super::names::{Name, Names};

/// What a field block has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldBlock {
    pub(super) field_count: usize,
    /// Whether a `:path` has a `#`.
    pub(super) has_fragment: bool,
}

impl FieldBlock {
    /// Reads a whole block; `None` if it is not valid. `names` are those of the blocks before it.
    pub(super) fn read(mut block: &[u8], names: &mut Names) -> Option<Self> {
        let mut found = Self::default();
        while let Some(&first) = block.first() {
            match first {
                // A field of a table.
                0x80.. => _ = integer(&mut block, 7)?,
                // A size of the dynamic table, which is no field.
                0x20..0x40 => {
                    names.resize(integer(&mut block, 5)?)?;
                    continue;
                }
                _ => {
                    let is_indexed = first & 0x40 != 0;
                    let index = integer(&mut block, if is_indexed { 6 } else { 4 })?;
                    let name = match index {
                        0 => Text::read(&mut block)?.name()?,
                        _ => names.get(index)?,
                    };
                    let value = Text::read(&mut block)?;
                    found.has_fragment |= name.is_path && value.has_number_sign()?;
                    if is_indexed {
                        names.insert(name, value.length()?);
                    }
                }
            }
            found.field_count += 1;
        }
        Some(found)
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
    fn read(block: &mut &'a [u8]) -> Option<Self> {
        let is_huffman = block.first()? & 0x80 != 0;
        let length = integer(block, 7)?;
        let (bytes, rest) = block.split_at_checked(length)?;
        *block = rest;
        Some(Self { bytes, is_huffman })
    }

    /// Gives each byte of the string to `sink`.
    fn decode(self, sink: impl FnMut(u8)) -> Option<()> {
        if self.is_huffman {
            return huffman::decode(self.bytes, sink);
        }
        self.bytes.iter().copied().for_each(sink);
        Some(())
    }

    fn name(self) -> Option<Name> {
        const PATH: &[u8] = b":path";
        let (mut length, mut same) = (0, 0);
        self.decode(|byte| {
            same += usize::from(PATH.get(length) == Some(&byte));
            length += 1;
        })?;
        Some(Name { length, is_path: length == PATH.len() && same == length })
    }

    /// The number of bytes of the string.
    fn length(self) -> Option<usize> {
        let mut length = 0;
        if !self.is_huffman {
            return Some(self.bytes.len());
        }
        self.decode(|_| length += 1)?;
        Some(length)
    }

    fn has_number_sign(self) -> Option<bool> {
        let mut is_found = false;
        self.decode(|byte| is_found |= byte == b'#')?;
        Some(is_found)
    }
}

/// Takes an integer with a prefix of this many bits from the front of a block (RFC 7541 §5.1).
fn integer(block: &mut &[u8], prefix: u32) -> Option<usize> {
    let mut next = || {
        let (&first, rest) = block.split_first()?;
        *block = rest;
        Some(usize::from(first))
    };
    let limit = (1 << prefix) - 1;
    let mut value = next()? & limit;
    if value < limit {
        return Some(value);
    }
    // The `h2` crate reads as many bytes. Larger numbers are longer than any block.
    for shift in [0, 7, 14, 21] {
        let byte = next()?;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(block: &[u8]) -> Option<(usize, bool)> {
        // The examples refer to fields of blocks before them.
        let mut names = Names::default();
        (0..8).for_each(|_| names.insert(Name { length: 1, is_path: false }, 1));
        FieldBlock::read(block, &mut names).map(|block| (block.field_count, block.has_fragment))
    }

    #[test]
    fn fields_of_the_rfc_examples_are_counted() {
        // RFC 7541 §C.4: requests with Huffman code, which use the dynamic table.
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        let third = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
        assert_eq!(read(first), Some((4, false)));
        assert_eq!(read(second), Some((5, false)));
        assert_eq!(read(third), Some((5, false)));
        assert_eq!(read(b"\x3f\xe1\x1f\x20\x82"), Some((1, false)), "sizes of the table are no fields");
        assert_eq!(read(b""), Some((0, false)));
    }

    #[test]
    fn path_with_fragment_is_found_in_every_representation() {
        for block in [
            &b"\x04\x04/x#y"[..],
            b"\x05\x04/x#y",
            b"\x14\x04/x#y",
            b"\x44\x04/x#y",
            b"\x04\x01#",
            b"\x00\x05:path\x04/x#y",
            // With Huffman code: `:path`, `#`.
            b"\x00\x84\xb9\x58\xd3\x3f\x82\xff\xaf",
            b"\x82\x44\x04/x#y\x86",
        ] {
            assert_eq!(read(block).map(|found| found.1), Some(true), "{}", block.escape_ascii());
        }
        for block in
            [&b"\x04\x03/xy"[..], b"\x00\x01x\x01#", b"\x01\x01#", b"\x00\x06:paths\x01#", b"\x0f\x00\x01#"]
        {
            assert_eq!(read(block), Some((1, false)), "{}", block.escape_ascii());
        }
    }

    #[test]
    fn path_is_found_by_a_name_in_the_dynamic_table() {
        let mut names = Names::default();
        let mut read = |block: &[u8]| FieldBlock::read(block, &mut names).unwrap().has_fragment;
        // `:path: /x` and `a: b` are added, so that 63 is `:path`, and 62 another name.
        assert!(!read(b"\x44\x02/x\x40\x01a\x01b"));
        assert!(read(b"\x0f\x30\x04/x#y") && !read(b"\x0f\x2f\x04/x#y"));
        assert!(read(b"\x7f\x00\x04/x#y"), "it is added as well");
        // A table without room forgets them.
        assert!(!read(b"\x20\x3f\xe1\x1f"));
        assert_eq!(FieldBlock::read(b"\x0f\x30\x04/x#y", &mut names), None, "there is no such name");
    }

    #[test]
    fn block_that_is_cut_or_not_valid_is_not_read() {
        for block in [
            &b"\xff"[..],
            b"\xff\x80\x80\x80\x80\x00",
            b"\x40",
            b"\x40\x01",
            b"\x40\x01x",
            b"\x40\x01x\x05abcd",
            b"\x40\x01x\x7f\xff\xff\xff\x7f",
            b"\x3f\x80",
            b"\x04\x81\x00",
        ] {
            assert_eq!(read(block), None, "{}", block.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_block_is_read_without_panic(block: Vec<u8>) {
            if let Some((field_count, _)) = read(&block) {
                prop_assert!(field_count <= block.len());
            }
        }
    }
}
