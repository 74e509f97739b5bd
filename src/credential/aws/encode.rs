//! Percent-encoding as AWS does it: everything but unreserved characters (RFC 3986 §2.3), in upper case.

/// Appends `bytes`, encoded. A slash stays as it is if `keeps_slash` is set.
pub(super) fn append(out: &mut Vec<u8>, bytes: &[u8], keeps_slash: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b'/' if keeps_slash => out.push(b'/'),
            _ => out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
}

/// The text, encoded with its slashes.
pub(super) fn encoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    append(&mut out, text, false);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_unreserved_characters_are_encoded() {
        assert_eq!(encoded(b"-._~AZaz09"), b"-._~AZaz09");
        assert_eq!(encoded("a/b c+d%20\u{1234}".as_bytes()), b"a%2Fb%20c%2Bd%2520%E1%88%B4");
        let mut path = Vec::new();
        append(&mut path, b"/a b/", true);
        assert_eq!(path, b"/a%20b/");
    }
}
