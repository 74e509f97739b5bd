//! The property of rules: what a rule is matched against is the path that every server reads. So a request is denied if any
//! server would act on a path that is denied, or on one that is not allowed.
//!
//! An input is a path.

use percent_encoding::{percent_decode, percent_decode_str};

use super::path_readings;
use crate::rules::fuzzing::segments;
use crate::rules::{CanonicalPath, Decision, RequestView, Rule, Rules};

thread_local! {
    static DENY: Rules = read(&[], &["/admin/**", "/v1/*/secret", "GET /Files/*.json"]);
    static ALLOW: Rules = read(&["/public/**", "GET /v1/*"], &[]);
}

/// Checks the property on a path.
pub fn rules(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let path = input.split(['?', '#']).next().unwrap_or_default();
    check_form(path);
    let readings: Vec<_> = Reading::all().map(|reading| reading.segments(path.as_bytes())).collect();
    if DENY.with(|rules| is_allowed(rules, path)) {
        let denied = readings.iter().find(|read| is_denied(read));
        assert_eq!(denied, None, "a server reads {path:?} as denied");
    }
    if ALLOW.with(|rules| is_allowed(rules, path)) {
        let other = readings.iter().find(|read| !is_public(read));
        assert_eq!(other, None, "a server reads {path:?} as not allowed");
    }
}

fn read(allow: &[&str], deny: &[&str]) -> Rules {
    let read = |texts: &[&str]| texts.iter().map(|text| Rule::parse(text, 1).expect("a rule")).collect();
    Rules::new(read(allow), read(deny)).expect("rules")
}

/// A server that decodes once and does nothing else has the same segments.
fn check_form(path: &str) {
    let Ok(canonical) = CanonicalPath::parse(path) else { return };
    let decoded = percent_decode_str(path).decode_utf8().expect("a canonical path is UTF-8");
    let mut expected: Vec<_> = decoded.split('/').skip(1).collect();
    let ends_in_slash = expected.pop_if(|last| last.is_empty()).is_some();
    assert_eq!(segments(&canonical), (expected, ends_in_slash), "another path");
}

fn is_allowed(rules: &Rules, path: &str) -> bool {
    let field_names = std::iter::empty();
    let request =
        RequestView { method: "GET", is_websocket: false, path, query: None, destination: None, field_names };
    matches!(rules.decide(request), Decision::Allowed(_))
}

/// Whether the rules of `DENY` are about a path, to a server that reads it as these segments.
fn is_denied(read: &[String]) -> bool {
    match read {
        [first, ..] if first == "admin" => true,
        [first, _, last] => first == "v1" && last == "secret",
        [first, last] => (first == "Files" || first == "files") && last.strip_suffix(".json").is_some(),
        _ => false,
    }
}

/// Whether the rules of `ALLOW` are about a path, but for case.
fn is_public(read: &[String]) -> bool {
    match read {
        [first, ..] if first == "public" => true,
        [first, _] => first == "v1",
        _ => false,
    }
}

/// One way of reading a path, made of habits that servers have.
#[derive(Clone, Copy)]
struct Reading {
    /// How often percent-encoding is removed before the path is taken apart.
    decodings: u8,
    has_backslashes: bool,
    has_parameters: bool,
    merges_slashes: bool,
    resolves_dots: bool,
    ignores_case: bool,
}

impl Reading {
    fn all() -> impl Iterator<Item = Self> {
        (0..3 * 32_u8).map(|bits| Self {
            decodings: bits / 32,
            has_backslashes: bits & 1 != 0,
            has_parameters: bits & 2 != 0,
            merges_slashes: bits & 4 != 0,
            resolves_dots: bits & 8 != 0,
            ignores_case: bits & 16 != 0,
        })
    }

    /// The segments, without the empty one behind a slash at the end.
    fn segments(self, path: &[u8]) -> Vec<String> {
        let decode = |path: Vec<u8>, _| percent_decode(&path).collect();
        let path = (0..self.decodings).fold(path.to_vec(), decode);
        let mut kept = Vec::new();
        for segment in path_readings::split(&path, self.has_backslashes, self.has_parameters) {
            match segment {
                b"." if self.resolves_dots => {}
                b".." if self.resolves_dots => drop(kept.pop()),
                b"" if self.merges_slashes => {}
                _ => kept.push(String::from_utf8_lossy(segment).into_owned()),
            }
        }
        kept.pop_if(|last| last.is_empty());
        if self.ignores_case {
            for segment in &mut kept {
                segment.make_ascii_lowercase();
            }
        }
        kept
    }
}
