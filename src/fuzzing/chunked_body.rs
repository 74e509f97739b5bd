//! The property of chunked coding: a body is read the same however it arrives, and as a second reader reads it.

use std::sync::Arc;

use crate::credential::Owned;
use crate::proxy::fuzzing::{ChunkedDecoder, Framing, FramingError, Segment};

/// Longest line of a chunk's size with its extensions and its end.
const MAX_LINE: usize = 4096;
/// Sizes of the pieces in which a body arrives.
const PIECES: [usize; 5] = [1, 2, 7, 60, 4096];
/// Field names that no trailer may have.
const FORBIDDEN: [&str; 6] =
    ["authorization", "connection", "content-length", "cookie", "host", "transfer-encoding"];

/// Checks the property on a body and what follows it.
pub fn chunked_body(input: &[u8]) {
    let whole = read(input, input.len().max(1), u64::MAX);
    // One byte at a time takes long.
    let smallest = if input.len() > 1024 { 60 } else { 1 };
    for size in PIECES.into_iter().filter(|size| *size >= smallest) {
        assert_eq!(read(input, size, u64::MAX), whole, "in pieces of {size}");
    }
    let plain = read_plainly(input);
    if whole.is_done {
        let (content, trailers) =
            plain.expect("a body that another reader finds malformed or not at its end");
        assert!(whole.content == content, "another reader finds other content");
        let end = input.len() - trailers.len();
        assert_trailers_are_harmless(&input[end..whole.used]);
        let length = content.len() as u64;
        assert!(read(input, 7, length).is_done, "as long as its limit");
        let beyond = length.checked_sub(1).map(|limit| read(input, 7, limit));
        let is_rejected = |read: &Read| read.error.is_some_and(|error| error.is_too_large());
        assert!(beyond.as_ref().is_none_or(is_rejected), "longer than its limit");
    } else if let Some((_, trailers)) = plain {
        assert!(!trailers.starts_with(b"\r\n"), "a body without trailers is not accepted");
    }
}

/// What was found of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) content: Vec<u8>,
    /// The length of the body, if it is whole.
    pub(super) used: usize,
    pub(super) is_done: bool,
    error: Option<FramingError>,
}

/// Reads a body that arrives in pieces of this size.
pub(super) fn read(input: &[u8], size: usize, limit: u64) -> Read {
    let mut decoder = ChunkedDecoder::new(Some(Arc::new(Owned::authorization())));
    decoder.set_limit(limit);
    let mut framing = Framing::Chunked(decoder);
    let mut found = Read { content: Vec::new(), used: 0, is_done: false, error: None };
    let mut arrived = 0;
    while !framing.is_done() {
        let offered = &input[found.used..arrived];
        match framing.next(offered) {
            Ok(Segment::Content(count)) => {
                found.content.extend_from_slice(&offered[..count]);
                found.used += count;
            }
            Ok(Segment::Framing(count)) => {
                assert!(count <= offered.len(), "more is used than there is");
                found.used += count;
            }
            Ok(Segment::NeedMore) if arrived == input.len() => break,
            Ok(Segment::NeedMore) => arrived = (arrived + size).min(input.len()),
            // How much was used before it was found depends on the pieces.
            Err(error) => return Read { used: 0, error: Some(error), ..found },
        }
    }
    let is_done = framing.is_done();
    Read { used: if is_done { found.used } else { 0 }, is_done, ..found }
}

/// The content of a body and what follows its last chunk, by RFC 9112 §7.1 word for word; `None` if it is malformed or
/// not whole.
pub(super) fn read_plainly(input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut content, mut rest) = (Vec::new(), input);
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extensions) = line.split_at(digits);
        let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        let extensions = extensions.trim_ascii_start();
        let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        let has_extensions = extensions.is_empty() || extensions.starts_with(b";");
        if line.len() + 2 > MAX_LINE || !has_extensions || line.iter().any(is_control) {
            return None;
        }
        if size == 0 {
            return Some((content, rest));
        }
        let (chunk, after) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        content.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
}

/// No trailer frames, routes or authenticates.
fn assert_trailers_are_harmless(section: &[u8]) {
    assert!(section.ends_with(b"\r\n"), "a section that does not end with its last line");
    for line in
        section.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty())
    {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let is_forbidden = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        assert!(!FORBIDDEN.iter().any(is_forbidden), "a trailer {}", name.escape_ascii());
    }
}
