//! The ways in which servers read a path. They disagree on what separates two segments, on what is decoded first, and on
//! what else belongs to a segment; a path is inside a base path only if it is for all of them.

use percent_encoding::percent_decode;

/// One way of reading a path, made of habits that servers have.
#[derive(Clone, Copy)]
struct Reading {
    /// How often percent-encoding is removed before the path is taken apart.
    decodings: u8,
    /// `\` separates segments, as `/` does (IIS, the URL Standard).
    has_backslashes: bool,
    /// Everything in a segment from its first `;` is a parameter (servlets).
    has_parameters: bool,
    /// Empty segments do not count (nginx).
    merges_slashes: bool,
    /// The path ends at NUL (C).
    ends_at_nul: bool,
}

impl Reading {
    fn all() -> impl Iterator<Item = Self> {
        (0..3 * 16_u8).map(|bits| Self {
            decodings: bits / 16,
            has_backslashes: bits & 1 != 0,
            has_parameters: bits & 2 != 0,
            merges_slashes: bits & 4 != 0,
            ends_at_nul: bits & 8 != 0,
        })
    }

    /// The segments that are left once dot segments are removed (RFC 3986 §5.2.4).
    fn segments(self, path: &[u8]) -> Vec<Vec<u8>> {
        let decode = |path: Vec<u8>, _| percent_decode(&path).collect();
        let path = (0..self.decodings).fold(path.to_vec(), decode);
        let end = path.iter().position(|byte| self.ends_at_nul && *byte == 0).unwrap_or(path.len());
        let path = &path[..end];
        let mut kept = Vec::new();
        for segment in split(path, self.has_backslashes, self.has_parameters) {
            // `%2e` is a dot to servers that decode nothing else (RFC 3986 §2.3).
            let dots = String::from_utf8_lossy(segment).to_ascii_lowercase();
            let dots = if self.decodings > 0 { dots } else { dots.replace("%2e", ".") };
            match dots.as_str() {
                "." => {}
                ".." => drop(kept.pop()),
                "" if self.merges_slashes => {}
                _ => kept.push(segment.to_vec()),
            }
        }
        kept
    }
}

/// The segments between `/`, or `\` as well, of an absolute path, without their parameters if a server has such.
pub(super) fn split(path: &[u8], has_backslashes: bool, has_parameters: bool) -> impl Iterator<Item = &[u8]> {
    let is_separator = move |byte: &u8| *byte == b'/' || has_backslashes && *byte == b'\\';
    path.split(is_separator).skip(1).map(move |segment| match segment.iter().position(|byte| *byte == b';') {
        Some(at) if has_parameters => &segment[..at],
        _ => segment,
    })
}

/// Asserts that a path with this base path in front of it is inside the base path for every server.
pub(super) fn assert_is_inside(base_path: &str, rest: &str) {
    let rest = rest.split('?').next().unwrap_or_default();
    let path = format!("{base_path}{rest}");
    for reading in Reading::all() {
        let (base, whole) = (reading.segments(base_path.as_bytes()), reading.segments(path.as_bytes()));
        assert!(whole.starts_with(&base), "{rest} escapes {base_path}");
    }
    if let Ok(parsed) = url::Url::parse(&format!("https://host.example{path}")) {
        assert!(parsed.path().starts_with(base_path), "{rest} escapes {base_path}");
    }
}
