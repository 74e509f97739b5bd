//! Numbers with a prefix (RFC 7541 §5.1): the last bits of a byte, and further bytes if the number is larger.

/// Takes a number with a prefix of this many bits from the front of a block; `None` if it is cut, or larger than any
/// block.
pub(super) fn take(block: &mut &[u8], prefix: u32) -> Option<usize> {
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
    for shift in [0, 7, 14, 21] {
        let byte = next()?;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Appends a number. `first` has the bits before the prefix.
pub(super) fn put(out: &mut Vec<u8>, first: u8, prefix: u32, mut value: usize) {
    let limit = (1 << prefix) - 1;
    if value < limit {
        out.push(first | low_byte(value));
        return;
    }
    out.push(first | low_byte(limit));
    value -= limit;
    while value >= 0x80 {
        out.push(0x80 | low_byte(value & 0x7f));
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put_alone(first: u8, prefix: u32, value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, first, prefix, value);
        out
    }

    #[test]
    fn examples_of_the_rfc_are_written_and_read() {
        // RFC 7541 §C.1.
        for (prefix, value, bytes) in [(5, 10, &b"\x0a"[..]), (5, 1337, b"\x1f\x9a\x0a"), (8, 42, b"\x2a")] {
            assert_eq!(put_alone(0, prefix, value), bytes);
            let mut block = bytes;
            assert_eq!((take(&mut block, prefix), block), (Some(value), &b""[..]));
        }
    }

    #[test]
    fn cut_or_endless_number_is_none() {
        for mut block in
            [&b""[..], b"\x1f", b"\x1f\x80", b"\x1f\xff\xff\xff\xff\x7f", b"\x1f\x80\x80\x80\x80\x00"]
        {
            assert_eq!(take(&mut block, 5), None);
        }
    }

    proptest! {
        #[test]
        fn any_number_is_read_as_it_was_written(prefix in 4_u32..8, value in 0_usize..1 << 28, rest: Vec<u8>) {
            let bytes = [put_alone(0, prefix, value), rest.clone()].concat();
            let mut block = &bytes[..];
            prop_assert_eq!(take(&mut block, prefix), Some(value));
            prop_assert_eq!(block, rest);
        }
    }
}
