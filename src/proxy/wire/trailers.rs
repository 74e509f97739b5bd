//! The trailer section of a chunked body (RFC 9112 §7.1.2).

/// Returns the length of the trailer section at the front of `bytes`, including its empty line; `None` if it is
/// not complete.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        _ => memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4),
    }
}

/// Moves the whitespace between a field name and its colon behind the colon, in each field of a complete trailer
/// section: `Name : value` becomes `Name:  value`. A proxy removes that whitespace from a response (RFC 9112
/// §5.1); here the length stays the same, because whitespace is allowed before a value. A section that is not
/// complete stays as it is.
pub(crate) fn close_up_names(bytes: &mut [u8]) {
    let Some(length) = length(bytes) else { return };
    for line in bytes[..length].split_mut(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let end = line[..colon].iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
        if let Some(name) = end.map(|end| end + 1).filter(|name| *name < colon) {
            line[name..=colon].fill(b' ');
            line[name] = b':';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_before_colon_moves_behind_it() {
        for (before, after) in [
            ("X-Sum : 1\r\n\r\n", "X-Sum:  1\r\n\r\n"),
            ("A\t : 1\r\nB: 2 : 3\r\nC :\r\n\r\nD : 4", "A:   1\r\nB: 2 : 3\r\nC: \r\n\r\nD : 4"),
            ("\r\nA : 1\r\n\r\n", "\r\nA : 1\r\n\r\n"),
            ("A : 1\r\n", "A : 1\r\n"),
            (" : 1\r\nA\r: 1\r\nB\r\n\r\n", " : 1\r\nA\r: 1\r\nB\r\n\r\n"),
        ] {
            let mut bytes = before.as_bytes().to_vec();
            close_up_names(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), after);
        }
    }
}
