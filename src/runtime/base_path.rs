//! The base path of an upstream, which its service is confined to.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// Whether a path escapes above its start by dot segments (RFC 3986 §5.2.4) in any encoding. Such a request
/// could leave the base path that its service is confined to.
///
/// Servers disagree on what separates segments, so the reading that is the least deep counts: `a%2fb` is one
/// step down, as for a server that does not decode `%2f`, and `a%2f..` is one step up, without a step down
/// before it.
pub fn escapes_base_path(path: &str) -> bool {
    // `*` is the whole server (RFC 9112 §3.2.4).
    if path == "*" {
        return true;
    }
    // This is enough for almost every path.
    if !path.contains("..") && !path.contains('%') && path.is_ascii() {
        return false;
    }
    let mut depth = 0_i32;
    for segment in path.split('?').next().unwrap_or_default().split('/') {
        let segment = decoded(segment);
        // To servers with path parameters `..;x` is `..`, and `;x` is empty. A path ends at NUL, `?` and `#` for servers that find
        // them after they have decoded it.
        let without = |part: &'_ str, ends: &[char]| part.split(ends).next().unwrap_or_default().len();
        let parts = || segment.split(['/', '\\']).map(|part| &part[..without(part, &[';'])]);
        // Windows removes spaces and dots at the end of a name.
        let is_up = |part: &str| part[..without(part, &['\0', '?', '#'])].trim_end_matches(' ') == "..";
        let is_step = |part: &str| !part.trim_end_matches([' ', '.']).is_empty();
        let up: i32 = parts().map(|part| i32::from(is_up(part))).sum();
        // To a server that does not separate at `\`, parameters are all of the segment from its first `;`.
        let is_down = up == 0 && is_step(&segment[..without(&segment, &[';'])]) && parts().any(is_step);
        let down = i32::from(is_down);
        depth += down - up;
        if depth < 0 {
            return true;
        }
    }
    false
}

/// How often a segment is decoded, at most: a chain of servers may decode it once each.
const DECODINGS: usize = 3;

/// A segment as those servers read it that decode most: escapes, those of escapes, overlong forms (RFC 3629 §3), and characters
/// that become ASCII if they are normalized.
fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') && segment.is_ascii() {
        return Cow::Borrowed(segment);
    }
    let mut bytes = segment.as_bytes().to_vec();
    for _ in 0..DECODINGS {
        if !bytes.contains(&b'%') {
            break;
        }
        bytes = decoded_once(&bytes);
    }
    let text = String::from_utf8_lossy(&without_overlong(&bytes)).into_owned();
    let text = if text.is_ascii() {
        text
    } else {
        ComposingNormalizerBorrowed::new_nfkc().normalize(&text).into_owned()
    };
    Cow::Owned(text)
}

/// Decodes `%2e`, and `%u002e` as IIS does.
fn decoded_once(bytes: &[u8]) -> Vec<u8> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
    };
    let (mut decoded, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    loop {
        rest = match rest {
            [] => return decoded,
            [b'%', b'u' | b'U', digits @ ..] if digits.len() >= 4 && number(&digits[..4]).is_some() => {
                let found =
                    number(&digits[..4]).and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                decoded.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
                &digits[4..]
            }
            [b'%', high, low, rest @ ..] if number(&[*high, *low]).is_some() => {
                decoded.extend(number(&[*high, *low]).and_then(|byte| u8::try_from(byte).ok()));
                rest
            }
            [byte, rest @ ..] => {
                decoded.push(*byte);
                rest
            }
        }
    }
}

/// The ASCII characters that overlong forms of two and three bytes stand for, in their places.
fn without_overlong(bytes: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    loop {
        rest = match rest {
            [] => return plain,
            [first @ 0xc0..=0xc1, second @ 0x80..=0xbf, rest @ ..]
            | [0xe0, first @ 0x80..=0x81, second @ 0x80..=0xbf, rest @ ..] => {
                plain.push((first & 1) << 6 | (second & 0x3f));
                rest
            }
            [byte, rest @ ..] => {
                plain.push(*byte);
                rest
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_base_path_finds_dot_segments_in_any_encoding() {
        for path in [
            "/..",
            "/../admin",
            "/a/../../b",
            "/%2e%2E/x",
            "/..%2f..",
            "/.%2e/",
            "/a/..\\..\\b",
            "/..;x=1/",
            "/%2e%2e%5cx",
            "/a%2fb/../..",
            "/a\\b/../..",
            "/a%5Cb/../..",
            "/%2f/..",
            "/;x/..",
            "/..%3bx",
            "/a//../..",
            "/;\\x/..;/y",
            "/;%5cx/..;/y",
            "/;%2fx/..;/y",
            "/%252e%252e/x",
            "/%25252e./x",
            "/%%32e./x",
            "/%u002e%u002e/x",
            "/%c0%ae%c0%ae/x",
            "/%e0%80%ae./x",
            "/a%c0%afb/../..",
            "/a%252fb/../..",
            "/\u{ff0e}\u{ff0e}/x",
            "/%ef%bc%8e%ef%bc%8e/x",
            "/a\u{ff0f}b/../..",
            "/\u{2025}/x",
            "/..%00/x",
            "/..%3fx",
            "/..%23/x",
            "/..%20/x",
            "/%20/..",
            "/.../..",
            "*",
        ] {
            assert!(escapes_base_path(path), "{path}");
        }
        for path in [
            "",
            "/",
            "/a/../b",
            "/a..b",
            "/...",
            "/a?x=/../..",
            "/%20/",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a%2fb/..",
            "/a%252e%252e/b",
            "/caf%c3%a9/..",
            "/%",
            "/%u00/..%",
            "/a/..%00",
            "/*",
        ] {
            assert!(!escapes_base_path(path), "{path}");
        }
    }
}
