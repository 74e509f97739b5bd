//! Parses the text of the file into a tree of nodes, each with its location. An error here means that there
//! is no tree to read, so it is the only one reported.

use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::error::{ConfigError, Diagnostic};
use super::location;
use super::location::{Children, FileId, Located, Location, MAX_DEPTH};
use super::tree;
use super::tree::{Kind, LimitExceeded, MAX_NODES, MAX_TEXT, Node};
use crate::secret::{FileError, read_file as read_bytes, read_to_end};

/// Largest configuration file, in bytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// Largest number of brackets in a text that the location scan could not read to its end. libyaml takes
/// quadratic time over open brackets, so it parses more of them only if the scan has found that they are
/// closed.
const MAX_UNCHECKED_BRACKETS: usize = 1000;

/// Reads the text of a file.
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let file = path.display().to_string();
    let error = |message: String| ConfigError::whole(&file, message);
    let bytes = read_bytes(path, MAX_BYTES).map_err(|cause| match cause {
        FileError::TooLarge(_) => error(TOO_LARGE.into()),
        cause => error(format!("cannot read the file: {cause}")),
    })?;
    text(&bytes, &file)
}

/// Reads the text of an input to its end; `file` is its name in error messages.
pub(crate) fn read_input(input: &mut impl Read, file: &str) -> Result<Zeroizing<String>, ConfigError> {
    let error = |message: String| ConfigError::whole(file, message);
    let read = read_to_end(input, 0, MAX_BYTES).map_err(|cause| error(format!("cannot read it: {cause}")))?;
    text(&read.ok_or_else(|| error(TOO_LARGE.into()))?, file)
}

fn text(bytes: &[u8], file: &str) -> Result<Zeroizing<String>, ConfigError> {
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        let line = bytes[..cause.valid_up_to()].split(|byte| *byte == b'\n').count();
        ConfigError::whole(file, format!("not UTF-8 text: the first invalid byte is on line {line}"))
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

pub(crate) const TOO_LARGE: &str = "the file is larger than 1 MiB, the limit for a configuration";

fn brackets(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count()
}

/// Parses the text of a file into a tree; `name` is the name of the file in error messages.
pub(crate) fn parse(text: &str, file: FileId, name: &str) -> Result<Node, Vec<Diagnostic>> {
    let at = |(location, message)| Diagnostic::new(name, location, "", message);
    read(text, file).map_err(|errors| errors.into_iter().map(at).collect())
}

/// An error, and where it is.
type LocatedError = (Location, String);

fn read(text: &str, file: FileId) -> Result<Node, Vec<LocatedError>> {
    if text.len() > MAX_BYTES {
        return Err(vec![(Location { file, line: 0, column: 0 }, TOO_LARGE.into())]);
    }
    let scan = location::scan(text);
    if let Some(location) = scan.too_deep {
        return Err(vec![too_deep(location)]);
    }
    if let Some(location) = scan.broken.filter(|_| brackets(text) > MAX_UNCHECKED_BRACKETS) {
        return Err(vec![at(
            location,
            format!("not valid YAML from here on, or nested deeper than {MAX_DEPTH} levels"),
        )]);
    }
    if let Some(location) = scan.second_document {
        return Err(vec![at(
            location,
            "a second document (`---`) starts here; the configuration is one document",
        )]);
    }
    if !scan.tags.is_empty() {
        let message = "a tag (`!…`) is not allowed; put a value that begins with `!` in quotes";
        return Err(scan.tags.into_iter().map(|location| at(location, message)).collect());
    }
    match tree::build(text) {
        Ok(mut root) => {
            locate_nodes(&mut root, scan.root.as_ref(), Location::start(file));
            Ok(root)
        }
        Err((error, limit)) => Err(vec![describe(&error, limit, text)]),
    }
}

/// Whether a text is as large as a configuration may be, also after its aliases are expanded. Nothing else of it is checked.
pub(crate) fn is_within_limits(text: &str) -> bool {
    let is_parsable = || brackets(text) <= MAX_UNCHECKED_BRACKETS || location::scan(text).broken.is_none();
    let is_small = || match tree::build(text) {
        Ok(_) => true,
        // What comes after an error that is not about a limit is not known; an empty text has nothing.
        Err((error, limit)) => limit.is_none() && error.to_string().starts_with("EOF while parsing"),
    };
    text.len() <= MAX_BYTES && is_parsable() && is_small()
}

fn at(location: Location, message: impl Into<String>) -> LocatedError {
    (location, message.into())
}

fn too_deep(location: Location) -> LocatedError {
    at(location, format!("nested deeper than {MAX_DEPTH} levels (or an alias that contains itself)"))
}

/// Sets the location of every node. A node that the location scan does not have gets the location of its
/// parent.
fn locate_nodes(node: &mut Node, located: Option<&Located>, parent: Location) {
    let location = located.map_or(parent, |located| Location { file: parent.file, ..located.location });
    node.location = location;
    match &mut node.kind {
        Kind::List(entries) => {
            let located = match located.map(|located| &located.children) {
                Some(Children::List(located)) => located.as_slice(),
                _ => &[],
            };
            for (index, entry) in entries.iter_mut().enumerate() {
                locate_nodes(entry, located.get(index), location);
            }
        }
        Kind::Map(entries) => {
            let located = match located.map(|located| &located.children) {
                Some(Children::Map(located)) => located.as_slice(),
                _ => &[],
            };
            for (index, (key, entry)) in entries.iter_mut().enumerate() {
                // An alias as a key has no text in the scan; its location is correct.
                let known = located.get(index).filter(|(name, _)| name == key || name.is_empty());
                locate_nodes(entry, known.map(|(_, located)| located), location);
            }
        }
        _ => {}
    }
}

const START: Location = Location::start(FileId::MAIN);

/// Converts an error of the YAML parser. The parser's own text is used only if it cannot contain a value.
fn describe(error: &serde_yaml::Error, limit: Option<LimitExceeded>, text: &str) -> LocatedError {
    let location = error.location().map_or(START, |location| Location {
        line: location.line(),
        column: location.column(),
        ..START
    });
    let full = error.to_string();
    let message = match limit {
        Some(LimitExceeded::Nodes) => {
            return at(location, format!("more than {MAX_NODES} values after aliases are expanded"));
        }
        Some(LimitExceeded::Text) => {
            return at(
                location,
                format!("more than {} MiB of text after aliases are expanded", MAX_TEXT >> 20),
            );
        }
        Some(LimitExceeded::Depth) => return too_deep(location),
        None if full.starts_with("recursion limit") => return too_deep(location),
        None if full.starts_with("unknown anchor") => {
            "an alias (`*…`) to an anchor that does not exist; put a value that begins with `*` in quotes"
                .into()
        }
        None if full.starts_with("repetition limit") => "too many aliases of aliases".into(),
        None if full.contains("more than one document") => "the configuration is one document".into(),
        None if full.starts_with("EOF while parsing") => return at(START, EMPTY),
        None if full.contains("invalid type") || full.contains("invalid value") => {
            "a key must be text, not a list or a mapping".into()
        }
        None if indented_by_tab(text, location.line) => {
            "not valid YAML: this line is indented with a tab; YAML allows only spaces".to_owned()
        }
        None => format!(
            "not valid YAML: {}; check this line and the one above (put values with special characters in quotes)",
            full.split(" at line ").next().unwrap_or_default()
        ),
    };
    at(location, message)
}

/// Error message for an empty file.
pub(crate) const EMPTY: &str = "the file is empty; at least `services` with one service is required";

fn indented_by_tab(text: &str, line: usize) -> bool {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    line.trim_start_matches(' ').starts_with('\t')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn message(text: &str) -> String {
        parse(text, FileId::MAIN, "").err().expect("an error")[0].message.clone()
    }

    #[test]
    fn duplicate_key_keeps_both_entries_and_lines() {
        let Kind::Map(entries) = parse("a: 1\na: 2\n", FileId::MAIN, "").ok().unwrap().kind else {
            panic!("a mapping")
        };
        assert_eq!(entries.iter().map(|(_, node)| node.location.line).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn alias_nodes_have_the_location_of_the_alias() {
        let Kind::Map(entries) = parse("a: &x {k: v}\nb: *x\n", FileId::MAIN, "").ok().unwrap().kind else {
            panic!("a mapping")
        };
        let Kind::Map(inner) = &entries[1].1.kind else { panic!("a mapping") };
        assert_eq!(inner[0].1.location.line, 2);
    }

    #[test]
    fn document_size_and_depth_are_limited() {
        let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(40_000), "*a,".repeat(40_000));
        assert!(message(&wide).starts_with("more than 50000 values"));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(100));
        assert!(message(&long).starts_with("more than 4 MiB of text"));
        let key = format!("a: &a {{ {}: 1 }}\nb: [{}]\n", "x".repeat(1000), "*a,".repeat(5000));
        assert!(message(&key).starts_with("more than 4 MiB of text"));
        for text in [&wide, &long, &key, &"[".repeat(2000), "a: &a [*a]", "a: !b c", "a: ["] {
            assert!(!is_within_limits(text), "{text:.20}");
        }
        assert!(is_within_limits("") && is_within_limits("a: &a [b]\nc: *a\n"));
        assert!(message("a: &a [*a]\n").starts_with("nested deeper"));
        assert!(message(&"[".repeat(1_000_000)).contains("nested deeper"));
        assert!(message(&"- ".repeat(500_000)).starts_with("nested deeper"));
    }
}
