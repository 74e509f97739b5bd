//! Writes field blocks (RFC 7541 §6). No field is added to the other side's dynamic table: what it saves on the wire is less
//! than what it costs, and a field that enters no table cannot be guessed from the length of others (RFC 7541 §7.1).

use super::{integer, static_table};

/// A field of a table.
const INDEXED: u8 = 0x80;
/// A literal that is not added to the dynamic table.
const WITHOUT_INDEXING: u8 = 0;
/// A literal that no intermediary may add to a table either (RFC 7541 §7.1.3).
const NEVER_INDEXED: u8 = 0x10;

/// Appends that the dynamic table is empty and stays so, which must be said first of all after the other side made its limit
/// smaller (RFC 7541 §4.2).
pub(crate) fn put_empty_table(block: &mut Vec<u8>) {
    block.push(0x20);
}

/// Appends `:status`.
pub(crate) fn put_status(block: &mut Vec<u8>, status: &str) {
    if let Some(index) = static_table::status(status) {
        integer::put(block, INDEXED, 7, index);
    } else {
        put_pseudo(block, 8, status.as_bytes(), WITHOUT_INDEXING);
    }
}

/// Appends `:method`.
pub(crate) fn put_method(block: &mut Vec<u8>, method: &str) {
    match method {
        "GET" => integer::put(block, INDEXED, 7, 2),
        "POST" => integer::put(block, INDEXED, 7, 3),
        _ => put_pseudo(block, 2, method.as_bytes(), WITHOUT_INDEXING),
    }
}

/// Appends `:scheme`: `https` or `http`.
pub(crate) fn put_scheme(block: &mut Vec<u8>, is_https: bool) {
    integer::put(block, INDEXED, 7, if is_https { 7 } else { 6 });
}

/// Appends `:authority`.
pub(crate) fn put_authority(block: &mut Vec<u8>, authority: &[u8]) {
    put_pseudo(block, 1, authority, WITHOUT_INDEXING);
}

/// Appends `:path`.
pub(crate) fn put_path(block: &mut Vec<u8>, path: &[u8], is_sensitive: bool) {
    if path == b"/" {
        integer::put(block, INDEXED, 7, 4);
    } else {
        put_pseudo(block, 4, path, if is_sensitive { NEVER_INDEXED } else { WITHOUT_INDEXING });
    }
}

fn put_pseudo(block: &mut Vec<u8>, name: usize, value: &[u8], representation: u8) {
    integer::put(block, representation, 4, name);
    put_text(block, value);
}

/// Appends a field. The name may be in any case, and is written in lower case.
pub(crate) fn put_field(block: &mut Vec<u8>, name: &[u8], value: &[u8], is_sensitive: bool) {
    let representation = if is_sensitive { NEVER_INDEXED } else { WITHOUT_INDEXING };
    if let Some(index) = static_table::name(name) {
        integer::put(block, representation, 4, index);
    } else {
        block.push(representation);
        integer::put(block, 0, 7, name.len());
        let start = block.len();
        block.extend_from_slice(name);
        block[start..].make_ascii_lowercase();
    }
    put_text(block, value);
}

/// Appends a string without Huffman code.
fn put_text(block: &mut Vec<u8>, text: &[u8]) {
    integer::put(block, 0, 7, text.len());
    block.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Decoder;
    use super::*;

    #[test]
    fn fields_have_the_shortest_representation() {
        let mut block = Vec::new();
        put_empty_table(&mut block);
        put_status(&mut block, "200");
        put_status(&mut block, "201");
        put_field(&mut block, b"Content-Type", b"text/plain", false);
        put_field(&mut block, b"X-A", b"", false);
        put_field(&mut block, b"set-cookie", b"a", true);
        assert_eq!(
            block,
            b"\x20\x88\x08\x03201\x0f\x10\x0atext/plain\x00\x03x-a\x00\x1f\x28\x01a",
            "{}",
            block.escape_ascii()
        );
    }

    proptest! {
        #[test]
        fn any_field_is_decoded_as_it_was_written(
            fields in proptest::collection::vec(("[a-zA-Z-]{1,20}", any::<Vec<u8>>(), any::<bool>()), 0..10),
        ) {
            let mut block = Vec::new();
            for (name, value, is_sensitive) in &fields {
                put_field(&mut block, name.as_bytes(), value, *is_sensitive);
            }
            let mut decoded = Vec::new();
            let read = Decoder::new(0, usize::MAX).decode(&block, |name, value| decoded.push((name.to_vec(), value.to_vec())));
            prop_assert_eq!(read, Ok(()));
            let expected: Vec<_> =
                fields.into_iter().map(|(name, value, _)| (name.to_ascii_lowercase().into_bytes(), value)).collect();
            prop_assert_eq!(decoded, expected);
        }
    }
}
