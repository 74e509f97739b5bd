//! The pattern of a path. `*` stands for any characters within one segment, `**` as a segment for any number of segments, none
//! included. Everything else stands for itself.

use std::borrow::Cow;
use std::fmt;

use super::path::{Ambiguity, CanonicalPath, FoldedPath, folded};

/// Longest pattern, in bytes.
const MAX_BYTES: usize = 1024;

/// A pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    /// The parts in lower case.
    folded: Vec<Part>,
    /// Whether a path must end in a slash; `None` if it may.
    ends_in_slash: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `**`
    AnySegments,
    /// One segment: its text between the `*`s. A single text has no `*`.
    Segment(Vec<String>),
}

/// Why a text is no pattern.
#[derive(Debug, PartialEq, Eq)]
pub enum InvalidPattern {
    /// Longer than the limit.
    TooLong,
    /// `**` with other characters in one segment.
    PartialAnySegments,
    /// `?`, `#`, `{`, `}`, `[` or `]`, which mean something in other languages of patterns and nothing here.
    Reserved(char),
    /// No path that is accepted could match it.
    Ambiguous(Ambiguity),
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a pattern has {MAX_BYTES} characters at most"),
            Self::PartialAnySegments => {
                f.write_str("`**` stands alone between two slashes; within a segment write `*`")
            }
            Self::Reserved(character) => {
                write!(
                    f,
                    "`{character}` has no meaning in a pattern; write `*` for any characters of a segment, `**` for any segments"
                )
            }
            Self::Ambiguous(Ambiguity::NotAbsolute) => f.write_str("a pattern begins with `/`"),
            Self::Ambiguous(ambiguity) => {
                write!(f, "no request can match: a path is rejected if {ambiguity}")
            }
        }
    }
}

impl Pattern {
    /// Parses a pattern. `%2a` stands for a `*` itself.
    ///
    /// # Errors
    ///
    /// If it is no pattern, or if no path can match it.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() > MAX_BYTES {
            return Err(InvalidPattern::TooLong);
        }
        if let Some(found) = text.chars().find(|c| matches!(c, '?' | '#' | '{' | '}' | '[' | ']')) {
            return Err(InvalidPattern::Reserved(found));
        }
        // `*` is kept apart from a decoded `%2a` by a character that no path may have.
        let marked = text.replace('*', "\u{fff9}");
        let unmarked = text.replace('*', "x");
        CanonicalPath::parse(&unmarked).map_err(InvalidPattern::Ambiguous)?;
        let parts: Result<Vec<_>, _> =
            marked.split('/').skip(1).filter(|segment| !segment.is_empty()).map(part).collect();
        let parts = parts?;
        let ends_in_slash = match parts.last() {
            Some(Part::AnySegments) => None,
            _ => Some(text.ends_with('/')),
        };
        let folded = parts.iter().map(Part::fold).collect();
        Ok(Self { parts, folded, ends_in_slash })
    }

    /// The pattern that every path matches.
    pub fn any() -> Self {
        let parts = vec![Part::AnySegments];
        Self { folded: parts.clone(), parts, ends_in_slash: None }
    }

    /// Whether it matches every path.
    pub fn is_any(&self) -> bool {
        self.parts == [Part::AnySegments]
    }

    /// Whether a path matches exactly, as a rule that allows demands.
    #[inline]
    pub fn matches(&self, path: &CanonicalPath<'_>) -> bool {
        self.ends_in_slash.is_none_or(|slash| slash == path.ends_in_slash)
            && segments_match(&self.parts, &path.segments)
    }

    /// Whether a path matches to a server that ignores case and a slash at the end. A rule that denies must hold for
    /// these servers as well.
    #[inline]
    pub fn matches_loosely(&self, path: &FoldedPath<'_>) -> bool {
        segments_match(&self.folded, &path.0)
    }
}

impl Part {
    fn fold(&self) -> Self {
        match self {
            Self::AnySegments => Self::AnySegments,
            Self::Segment(texts) => Self::Segment(texts.iter().map(|text| folded(text)).collect()),
        }
    }
}

/// Whether segments match parts. If a segment does not, the search goes on from the last `**`, which stands for one segment more
/// then: an earlier one need not be tried again, because the last one stands for any segments.
fn segments_match(parts: &[Part], segments: &[Cow<'_, str>]) -> bool {
    let (mut part, mut segment) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while segment < segments.len() {
        match parts.get(part) {
            Some(Part::AnySegments) => {
                retry = Some((part, segment));
                part += 1;
                continue;
            }
            Some(Part::Segment(texts)) if segment_matches(texts, &segments[segment]) => {
                part += 1;
                segment += 1;
                continue;
            }
            _ => {}
        }
        let Some((any, from)) = retry else { return false };
        retry = Some((any, from + 1));
        (part, segment) = (any + 1, from + 1);
    }
    parts[part..].iter().all(|part| *part == Part::AnySegments)
}

fn part(segment: &str) -> Result<Part, InvalidPattern> {
    const STAR: char = '\u{fff9}';
    let is_any = segment.chars().all(|c| c == STAR) && segment.chars().count() == 2;
    if is_any {
        return Ok(Part::AnySegments);
    }
    if segment.contains("\u{fff9}\u{fff9}") {
        return Err(InvalidPattern::PartialAnySegments);
    }
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Ok(Part::Segment(segment.split(STAR).map(decode).collect()))
}

/// Whether a segment is these texts with any characters between two of them.
#[inline]
fn segment_matches(texts: &[String], segment: &str) -> bool {
    let Some((first, others)) = texts.split_first() else { return false };
    let Some((last, middle)) = others.split_last() else { return segment == first };
    let Some(rest) = segment.strip_prefix(first.as_str()) else { return false };
    let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
    for text in middle {
        let Some(at) = rest.find(text.as_str()) else { return false };
        rest = &rest[at + text.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&CanonicalPath::parse(path).unwrap())
    }

    #[test]
    fn pattern_matches_whole_segments() {
        for (pattern, path, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/b/", false),
            ("/a/b/", "/a/b/", true),
            ("/a/b", "/a/bc", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/a/*", "/a", false),
            ("/a/*", "/a/", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/**", "/", true),
            ("/**/c", "/c", true),
            ("/**/c", "/a/b/c", true),
            ("/**/c", "/a/c/b", false),
            ("/a/**/z/**/c", "/a/z/c", true),
            ("/a/**/z/**/c", "/a/b/z/z/d/c", true),
            ("/a/**/z/**/c", "/a/b/d/c", false),
            ("/v*/users", "/v1/users", true),
            ("/v*/users", "/users/users", false),
            ("/*.json", "/a.json", true),
            ("/*.json", "/.json", true),
            ("/*.json", "/a.jsonx", false),
            ("/a*b*c", "/a1b2c", true),
            ("/a*b*c", "/ac", false),
            ("/aa*aa", "/aaa", false),
            ("/%61dmin", "/admin", true),
            ("/admin", "/%61dmin", true),
            ("/%2a", "/*", true),
            ("/%2a", "/a", false),
            ("/é", "/%C3%A9", true),
            ("/A", "/a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn loose_match_ignores_case_and_a_slash_at_the_end() {
        let loosely = |pattern: &str, path: &str| {
            Pattern::parse(pattern).unwrap().matches_loosely(&CanonicalPath::parse(path).unwrap().fold())
        };
        assert!(loosely("/admin", "/ADMIN/") && loosely("/Admin/", "/admin"));
        assert!(!loosely("/admin", "/admins") && !loosely("/admin", "/admin/x"));
        // A sigma has another small form at the end of a word, and one capital form.
        for (pattern, path) in [("/ΟΔΟΣ*", "/ΟΔΟΣΑ"), ("/οδός", "/οδόσ"), ("/*Σ", "/ας")]
        {
            assert!(loosely(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn pattern_that_cannot_match_is_an_error() {
        for text in [
            "", "a", "*", "/a//b", "/../a", "/a%2fb", "/a;b", "/a?b", "/{id}", "/[a]", "/a/**b", "/***",
            "/a#", "/%zz",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        assert!(Pattern::parse(&format!("/{}", "a".repeat(2000))).is_err());
        assert!(Pattern::parse("/**").unwrap().is_any() && !Pattern::parse("/*").unwrap().is_any());
    }

    /// The slow reference: every way to split is tried.
    fn reference(parts: &[&str], segments: &[&str]) -> bool {
        match (parts.split_first(), segments.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => (0..=segments.len()).any(|taken| reference(rest, &segments[taken..])),
            (Some((part, rest)), Some((segment, others))) => {
                within(&part.chars().collect::<Vec<_>>(), &segment.chars().collect::<Vec<_>>())
                    && reference(rest, others)
            }
            _ => false,
        }
    }

    fn within(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|taken| within(rest, &text[taken..])),
            Some((first, rest)) => {
                text.split_first().is_some_and(|(one, others)| one == first && within(rest, others))
            }
        }
    }

    proptest! {
        #[test]
        fn pattern_matches_as_the_reference_does(
            parts in prop::collection::vec("\\*\\*|[ab]{0,2}\\*?[ab]{1,2}\\*?|\\*", 0..6),
            segments in prop::collection::vec("[ab]{1,4}", 0..7),
        ) {
            let (pattern, path) = (format!("/{}", parts.join("/")), format!("/{}", segments.join("/")));
            let parts: Vec<_> = parts.iter().map(String::as_str).collect();
            let segments: Vec<_> = segments.iter().map(String::as_str).collect();
            let loosely = Pattern::parse(&pattern).unwrap().matches_loosely(&CanonicalPath::parse(&path).unwrap().fold());
            prop_assert_eq!(loosely, reference(&parts, &segments), "{} {}", pattern, path);
        }

        #[test]
        fn path_and_pattern_never_panic(pattern: String, path: String) {
            let path = CanonicalPath::parse(&path);
            if let (Ok(pattern), Ok(path)) = (Pattern::parse(&pattern), path) {
                prop_assert!(!pattern.matches(&path) || pattern.matches_loosely(&path.fold()));
            }
        }
    }
}
