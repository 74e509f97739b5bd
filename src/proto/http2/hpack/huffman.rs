//! The Huffman code of HPACK (RFC 7541, appendix B). It is canonical: codes of the same length are in the order of
//! their symbols, and follow the shorter ones. So the lengths determine the codes.

/// The length of each symbol's code, in bits.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The number of different lengths.
const GROUP_COUNT: usize = 21;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Group {
    length: u32,
    first_code: u32,
    /// The code behind the last one, at the left of 32 bits.
    end: u32,
    /// The place of the first symbol in [`SYMBOLS`].
    first_symbol: usize,
}

/// The symbols in the order of their codes, and the groups of codes.
const TABLES: ([u8; 256], [Group; GROUP_COUNT]) = {
    let mut symbols = [0; 256];
    let mut groups = [Group { length: 0, first_code: 0, end: 0, first_symbol: 0 }; GROUP_COUNT];
    let (mut length, mut code, mut count, mut group) = (0, 0, 0, 0);
    while length < 32 {
        length += 1;
        code <<= 1;
        let (first_code, first_symbol) = (code, count);
        let mut symbol = 0;
        while symbol < 256 {
            if LENGTHS[symbol] as u32 == length {
                #[expect(clippy::cast_possible_truncation, reason = "a symbol is a byte")]
                {
                    symbols[count] = symbol as u8;
                }
                count += 1;
                code += 1;
            }
            symbol += 1;
        }
        if count > first_symbol {
            groups[group] = Group { length, first_code, end: code << (32 - length), first_symbol };
            group += 1;
        }
    }
    (symbols, groups)
};
const SYMBOLS: [u8; 256] = TABLES.0;
const GROUPS: [Group; GROUP_COUNT] = TABLES.1;

/// For each byte at the front: the symbol whose code is at most that long, and the length of its code; 0 if the code is
/// longer. Almost all symbols of heads have such codes.
const SHORT_CODES: [(u8, u8); 256] = {
    let mut codes = [(0, 0); 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut group = 0;
        while group < GROUP_COUNT && GROUPS[group].length <= 8 {
            let Group { length, first_code, end, first_symbol } = GROUPS[group];
            if byte << 24 < end {
                let symbol = SYMBOLS[first_symbol + ((byte >> (8 - length)) - first_code) as usize];
                #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
                {
                    codes[byte as usize] = (symbol, length as u8);
                }
                break;
            }
            group += 1;
        }
        byte += 1;
    }
    codes
};

/// Appends the decoded string to `out`; `None` if it is not valid.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut unread = bytes.iter();
    // The bits that are not decoded yet, at the left, and their number.
    let (mut window, mut bits) = (0_u64, 0_u32);
    loop {
        while bits <= 56 {
            let Some(&byte) = unread.next() else { break };
            window |= u64::from(byte) << (56 - bits);
            bits += 8;
        }
        let (symbol, length) = SHORT_CODES[(window >> 56) as usize];
        if length > 0 && u32::from(length) <= bits {
            out.push(symbol);
            window <<= length;
            bits -= u32::from(length);
            continue;
        }
        let top = u32::try_from(window >> 32).unwrap_or_default();
        match GROUPS.iter().find(|group| top < group.end) {
            Some(group) if group.length <= bits => {
                let offset = (top >> (32 - group.length)) - group.first_code;
                out.push(SYMBOLS[group.first_symbol + offset as usize]);
                window <<= group.length;
                bits -= group.length;
            }
            // The end is filled with ones, up to a whole byte (RFC 7541 §5.2).
            _ => {
                let is_padding = bits < 8 && window.leading_ones() >= bits;
                return is_padding.then_some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(hex: &str) -> Option<String> {
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let mut text = Vec::new();
        decode(&bytes, &mut text)?;
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn examples_of_the_rfc_are_decoded() {
        for (hex, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            ("", ""),
        ] {
            assert_eq!(decoded(hex).as_deref(), Some(text), "{hex}");
        }
        assert_eq!(decoded("ffdfff").as_deref(), None, "padding of more than seven bits");
        assert_eq!(decoded("00").as_deref(), None, "padding with zeros");
        assert_eq!(decoded("ffffffff"), None, "the end-of-string symbol");
        // 12 bits, 1111 1111 1010, and the padding.
        assert_eq!(decoded("ffaf").as_deref(), Some("#"));
    }
}
