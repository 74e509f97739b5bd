//! UTF-32, which no browser reads any more, and some token endpoints send.

use zeroize::Zeroizing;

/// The text of a body in UTF-32 of either byte order; `None` if it is in another encoding. The first character
/// of an answer is ASCII or a byte order mark, so that its other bytes are zero.
pub(super) fn decode(body: &[u8]) -> Option<Zeroizing<String>> {
    let read = match body.get(..4)? {
        [0xff, 0xfe, 0, 0] | [1..=0xff, 0, 0, 0] => u32::from_le_bytes,
        [0, 0, 0xfe, 0xff] | [0, 0, 0, 1..=0xff] => u32::from_be_bytes,
        _ => return None,
    };
    let units = body.chunks(4).map(|unit| unit.try_into().map_or(0xfffd, read));
    let characters = units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
    let mut text = Zeroizing::new(String::with_capacity(body.len()));
    text.extend(characters.skip_while(|character| *character == '\u{feff}'));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_utf32_is_recognized_by_its_zero_bytes() {
        let decoded = |body: &[u8]| decode(body).map(|text| text.to_string());
        assert_eq!(decoded(b"{\0\0\0}\0\0\0").as_deref(), Some("{}"));
        assert_eq!(decoded(b"\0\0\0{\0\0\0}").as_deref(), Some("{}"));
        assert_eq!(decoded(b"{\0\0\0\xff\xff\xff\xff}\0").as_deref(), Some("{\u{fffd}\u{fffd}"));
        for other in [&b""[..], b"{}", b"{\0}\0", b"\0{\0}", b"{}\0\0", b"\xff\xfe{\0"] {
            assert_eq!(decoded(other), None, "{other:?}");
        }
    }
}
