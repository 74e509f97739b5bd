//! A path in the one form that every server reads alike.
//!
//! Servers differ in what they decode, merge and resolve. A path that two of them may read differently has no canonical form:
//! a rule could be matched against one reading, and the upstream act on another. So it is rejected where a rule depends on it.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use memchr::memchr_iter;
use smallvec::SmallVec;

/// Segments that a path usually has at most; more are kept on the heap.
const USUAL_SEGMENTS: usize = 8;

/// The segments of a path, decoded. No segment is empty.
#[derive(Debug, PartialEq, Eq)]
pub struct CanonicalPath<'p> {
    pub(super) segments: SmallVec<[Cow<'p, str>; USUAL_SEGMENTS]>,
    /// Whether a slash follows the last segment.
    pub(super) ends_in_slash: bool,
}

/// A path as servers read it that ignore case and a slash at the end.
#[derive(Debug)]
pub struct FoldedPath<'p>(pub(super) SmallVec<[Cow<'p, str>; USUAL_SEGMENTS]>);

/// The path that an upstream gets for a path below a service: behind the base path, and never empty.
#[inline]
pub fn path_at_upstream<'p>(base_path: &str, path: &'p str) -> Cow<'p, str> {
    match (base_path, path) {
        ("", "") => Cow::Borrowed("/"),
        ("", path) => Cow::Borrowed(path),
        (base_path, path) => Cow::Owned(format!("{base_path}{path}")),
    }
}

/// Why servers may read a path differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguity {
    /// `*`, the authority of a `CONNECT`, or nothing.
    #[error("it does not begin with `/`")]
    NotAbsolute,
    /// `//`, which some servers merge.
    #[error("it has an empty segment (`//`)")]
    EmptySegment,
    /// `.` or `..`, encoded or not.
    #[error("it has a segment `.` or `..`")]
    DotSegment,
    /// A backslash, encoded or not, which some servers take for a slash.
    #[error("it has a backslash")]
    Backslash,
    /// `%2f`, which some servers decode before they split the path.
    #[error("it has an encoded slash (`%2f`)")]
    EncodedSlash,
    /// A semicolon: to some servers the rest of the segment is a parameter.
    #[error("it has a semicolon")]
    Semicolon,
    /// `%3f` or `%23`, which end the path for servers that decode it before they split it.
    #[error("it has an encoded `?` or `#`")]
    EncodedDelimiter,
    /// NUL or another control character.
    #[error("it has a control character")]
    Control,
    /// A percent sign that is no escape (RFC 3986 §2.1).
    #[error("it has a percent sign without two hexadecimal digits")]
    InvalidEscape,
    /// `%252e` and the like: a server that decodes twice reads something else.
    #[error("it is encoded twice")]
    DoubleEncoding,
    /// Bytes that are not UTF-8, overlong forms included (RFC 3629 §3).
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A segment that begins or ends with a space or ends with a dot, which Windows servers cut, or that names a stream of NTFS.
    #[error("it has a segment that some servers shorten")]
    Shortened,
    /// `ADMINI~1`, which is `administrator` on Windows.
    #[error("it has the form of a short name of Windows (`~1`)")]
    ShortName,
    /// A character that some servers replace by an ASCII character, such as a full-width letter, or that cannot be seen.
    #[error("it has a character that some servers replace")]
    Lookalike,
}

impl<'p> CanonicalPath<'p> {
    /// Parses the path of a request target, without its query.
    ///
    /// # Errors
    ///
    /// If servers may read it differently.
    pub fn parse(path: &'p str) -> Result<Self, Ambiguity> {
        let inner = path.strip_prefix('/').ok_or(Ambiguity::NotAbsolute)?;
        let mut segments = SmallVec::new();
        let mut ends_in_slash = false;
        let mut rest = inner.split('/').peekable();
        while let Some(raw) = rest.next() {
            if raw.is_empty() {
                if rest.peek().is_some() {
                    return Err(Ambiguity::EmptySegment);
                }
                ends_in_slash = true;
                break;
            }
            let segment = decode(raw)?;
            check(&segment)?;
            segments.push(segment);
        }
        Ok(Self { segments, ends_in_slash })
    }
}

impl CanonicalPath<'_> {
    /// The path for servers that ignore case. Allocates only for a segment that has a capital letter.
    pub fn fold(&self) -> FoldedPath<'_> {
        let is_folded =
            |segment: &str| segment.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        let fold = |segment| {
            if is_folded(segment) { Cow::Borrowed(segment) } else { Cow::Owned(folded(segment)) }
        };
        FoldedPath(self.segments.iter().map(|segment| fold(&**segment)).collect())
    }
}

/// Decodes a segment, once.
fn decode(raw: &str) -> Result<Cow<'_, str>, Ambiguity> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'%' {
            decoded.push(byte);
            at += 1;
            continue;
        }
        let value = escape(&bytes[at + 1..]).ok_or(Ambiguity::InvalidEscape)?;
        at += 3;
        match value {
            b'/' => return Err(Ambiguity::EncodedSlash),
            b'?' | b'#' => return Err(Ambiguity::EncodedDelimiter),
            _ => decoded.push(value),
        }
    }
    // In what is decoded, because the digits of the second escape may be escaped as well (`%25%36%31`).
    let is_escape =
        |at: usize| escape(&decoded[at + 1..]).is_some() || matches!(decoded.get(at + 1), Some(b'u' | b'U'));
    if memchr_iter(b'%', &decoded).any(is_escape) {
        return Err(Ambiguity::DoubleEncoding);
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Ambiguity::NotUtf8)
}

/// The byte that the first two characters stand for.
fn escape(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| digits.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// Checks a decoded segment.
fn check(segment: &str) -> Result<(), Ambiguity> {
    if matches!(segment, "." | "..") {
        return Err(Ambiguity::DotSegment);
    }
    for byte in segment.bytes() {
        match byte {
            b'\\' => return Err(Ambiguity::Backslash),
            b';' => return Err(Ambiguity::Semicolon),
            0..0x20 | 0x7f => return Err(Ambiguity::Control),
            _ => {}
        }
    }
    if segment.starts_with(' ') || segment.ends_with([' ', '.']) || segment.contains(":$") {
        return Err(Ambiguity::Shortened);
    }
    if is_short_name(segment) {
        return Err(Ambiguity::ShortName);
    }
    if !segment.is_ascii() && (segment.chars().any(is_lookalike) || !is_normalized(segment)) {
        return Err(Ambiguity::Lookalike);
    }
    Ok(())
}

/// Whether a segment has the form of a short name of Windows, such as `ADMINI~1` and `REPORT~2.JSO`: a file system there gives a
/// long name one more, under which servers find the same file (CVE-2011-4963).
fn is_short_name(segment: &str) -> bool {
    let (base, extension) = segment.split_once('.').unwrap_or((segment, ""));
    let Some((_, number)) = base.rsplit_once('~') else { return false };
    !base.starts_with('~')
        && base.len() <= 8
        && extension.len() <= 3
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is in the one form that its equivalents are normalized to: `é` is one character, and not two.
fn is_normalized(text: &str) -> bool {
    ComposingNormalizerBorrowed::new_nfkc().is_normalized(text)
}

/// A text for servers that ignore case. Each character by itself, so that the text of a pattern in pieces is folded as the whole
/// is: `str::to_lowercase` gives a sigma another form at the end. Upper case comes first, because both forms have the same one.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Whether servers may read an ASCII character in place of another one, or nothing: those that normalize text (NFKC), that change
/// its case, or that map it to an older character set.
fn is_lookalike(character: char) -> bool {
    if character.is_ascii() {
        return false;
    }
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let mut text = [0; 4];
    let normalized = nfkc.normalize(character.encode_utf8(&mut text));
    normalized.chars().any(|found| found.is_ascii())
        || character.to_lowercase().chain(character.to_uppercase()).any(|found| found.is_ascii())
        || matches!(
            character,
            // Controls, and what cannot be seen.
            '\u{80}'..='\u{a0}'
                | '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{2000}'..='\u{200f}'
                | '\u{2028}'..='\u{202f}'
                | '\u{205f}'..='\u{206f}'
                | '\u{3000}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{ffff}'
                | '\u{e0000}'..='\u{e0fff}'
                // Slashes, backslashes and full stops of other scripts.
                | '\u{2044}'
                | '\u{2215}'..='\u{2216}'
                | '\u{29f5}'..='\u{29f9}'
                | '\u{3002}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Result<(Vec<String>, bool), Ambiguity> {
        CanonicalPath::parse(path)
            .map(|path| (path.segments.iter().map(ToString::to_string).collect(), path.ends_in_slash))
    }

    #[test]
    fn path_has_decoded_segments() {
        let of = |segments: &[&str], slash| Ok((segments.iter().map(ToString::to_string).collect(), slash));
        assert_eq!(parsed("/"), of(&[], true));
        assert_eq!(parsed("/a/b"), of(&["a", "b"], false));
        assert_eq!(parsed("/a/"), of(&["a"], true));
        assert_eq!(parsed("/%61%64min/x%20y"), of(&["admin", "x y"], false));
        assert_eq!(parsed("/100%25/b"), of(&["100%", "b"], false));
        assert_eq!(parsed("/caf%C3%A9/é"), of(&["café", "é"], false));
        assert_eq!(parsed("/v1/x:batch/a@b!$&'()*+,="), of(&["v1", "x:batch", "a@b!$&'()*+,="], false));
        assert_eq!(parsed("/arn:aws:iam::1:role"), of(&["arn:aws:iam::1:role"], false));
        assert_eq!(parsed("/.well-known/...x"), of(&[".well-known", "...x"], false));
        assert_eq!(
            parsed("/~1/a~/a~b/a~1.html/report~12345"),
            of(&["~1", "a~", "a~b", "a~1.html", "report~12345"], false)
        );
    }

    #[test]
    fn path_that_servers_read_differently_has_no_form() {
        use Ambiguity::{
            Backslash, Control, DotSegment, DoubleEncoding, EmptySegment, EncodedDelimiter, EncodedSlash,
            InvalidEscape, Lookalike, NotAbsolute, NotUtf8, Semicolon, ShortName, Shortened,
        };
        for (path, why) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("a/b", NotAbsolute),
            ("//a", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("/a/../b", DotSegment),
            ("/a/.", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/.%2e", DotSegment),
            ("/a\\b", Backslash),
            ("/a%5Cb", Backslash),
            ("/..%5c", Backslash),
            ("/a%2fb", EncodedSlash),
            ("/a%2F..%2Fb", EncodedSlash),
            ("/a;x", Semicolon),
            ("/..;/b", Semicolon),
            ("/a%3bx", Semicolon),
            ("/a%3fx", EncodedDelimiter),
            ("/a%23x", EncodedDelimiter),
            ("/a%00b", Control),
            ("/a%0a", Control),
            ("/a\tb", Control),
            ("/a%7f", Control),
            ("/a%", InvalidEscape),
            ("/a%2", InvalidEscape),
            ("/a%zz", InvalidEscape),
            ("/a%u002e", InvalidEscape),
            ("/a%252e", DoubleEncoding),
            ("/%252f", DoubleEncoding),
            ("/%25u002e", DoubleEncoding),
            ("/%25%36%31dmin", DoubleEncoding),
            ("/%25%75002e", DoubleEncoding),
            ("/%25%32e%2532e/b", DoubleEncoding),
            ("/%c0%ae", NotUtf8),
            ("/%e0%80%af", NotUtf8),
            ("/%ff", NotUtf8),
            ("/%ed%a0%80", NotUtf8),
            ("/admin.", Shortened),
            ("/admin%20", Shortened),
            ("/%20admin", Shortened),
            ("/admin::$DATA", Shortened),
            ("/a%3a%3a$index_allocation", Shortened),
            ("/ａdmin", Lookalike),
            ("/a／b", Lookalike),
            ("/%ef%bc%8e%ef%bc%8e/b", Lookalike),
            ("/ad\u{200b}min", Lookalike),
            ("/…", Lookalike),
            ("/%C2%AAdmin", Lookalike),
            ("/ﬁle", Lookalike),
            ("/admın", Lookalike),
            ("/a\u{3000}", Lookalike),
            ("/a\u{37e}x", Lookalike),
            ("/a\u{34f}b", Lookalike),
            ("/admin:$I30:$INDEX_ALLOCATION", Shortened),
            ("/ADMINI~1/x", ShortName),
            ("/a%7e12", ShortName),
            ("/REPORT~2.jso", ShortName),
            ("/cafe\u{301}", Lookalike),
            ("/\u{ff71}", Lookalike),
            ("/\u{2126}", Lookalike),
        ] {
            assert_eq!(parsed(path), Err(why), "{path}");
        }
    }
}
