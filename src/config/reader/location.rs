//! Finds the line and column of every node, which `serde_yaml` does not keep, and says which file a node is in.
//!
//! A second parser scans the same text, for locations only. The meaning of the file never depends on it: if
//! the two parsers disagree, an error is shown at the nearest node that both have.

use saphyr_parser::{Event, Marker, Parser};

/// Deepest nesting. The YAML parser takes more than linear time over deeper nesting.
pub(crate) const MAX_DEPTH: usize = 32;

/// A file of the configuration: its place among the files that were read, the main file first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(pub(crate) u16);

impl FileId {
    /// The main file.
    pub(crate) const MAIN: Self = Self(0);
}

/// A position in a file; line and column are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    pub(crate) file: FileId,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Location {
    /// The beginning of a file.
    pub(crate) const fn start(file: FileId) -> Self {
        Self { file, line: 1, column: 1 }
    }

    /// A position in the file that is scanned. [`document`](super::document) sets the file.
    fn of(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1, ..Self::start(FileId::MAIN) }
    }
}

/// The location of a node and of its children, in the order of the file.
pub(crate) struct Located {
    /// For an entry of a mapping the location of its key, otherwise that of the node.
    pub(crate) location: Location,
    pub(crate) children: Children,
}

/// The children of a node.
pub(crate) enum Children {
    /// A scalar or an alias; nodes that an alias refers to get the location of the alias.
    None,
    List(Vec<Located>),
    Map(Vec<(String, Located)>),
}

/// The result of a scan.
#[derive(Default)]
pub(crate) struct ScanResult {
    pub(crate) root: Option<Located>,
    /// Every explicit tag (`!x`, `!!str`).
    pub(crate) tags: Vec<Location>,
    /// The start of a second document.
    pub(crate) second_document: Option<Location>,
    /// The first node nested deeper than [`MAX_DEPTH`].
    pub(crate) too_deep: Option<Location>,
    /// Where this parser failed; the other one may succeed.
    pub(crate) broken: Option<Location>,
}

/// A list or mapping whose end was not read yet.
struct Open {
    location: Location,
    children: Children,
    key: Option<(String, Location)>,
}

/// Scans the text. Stops at a second document, at nesting that is too deep, and at an error.
pub(crate) fn scan(text: &str) -> ScanResult {
    let mut walk = Walk::default();
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(next) = parser.next_event() {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                walk.found.broken = Some(Location::of(error.marker()));
                break;
            }
        };
        let location = Location::of(&span.start);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    walk.found.second_document = Some(location);
                    break;
                }
            }
            Event::Scalar(value, _, _, tag) => {
                walk.tagged(tag.is_some(), location);
                walk.deliver(value.into_owned(), Located { location, children: Children::None });
            }
            Event::Alias(_) => walk.deliver(String::new(), Located { location, children: Children::None }),
            Event::SequenceStart(_, tag) => {
                walk.tagged(tag.is_some(), location);
                walk.open.push(Open { location, children: Children::List(Vec::new()), key: None });
            }
            Event::MappingStart(_, tag) => {
                walk.tagged(tag.is_some(), location);
                walk.open.push(Open { location, children: Children::Map(Vec::new()), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => walk.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        if walk.open.len() > MAX_DEPTH {
            walk.found.too_deep = Some(location);
            break;
        }
    }
    // After an error the locations up to there are valid.
    while !walk.open.is_empty() {
        walk.close();
    }
    walk.found
}

#[derive(Default)]
struct Walk {
    open: Vec<Open>,
    found: ScanResult,
}

impl Walk {
    fn tagged(&mut self, tagged: bool, location: Location) {
        if tagged {
            self.found.tags.push(location);
        }
    }

    fn close(&mut self) {
        if let Some(Open { location, children, .. }) = self.open.pop() {
            self.deliver(String::new(), Located { location, children });
        }
    }

    /// Adds a complete node: as a key of its parent, as the value of that key, as an entry of a list, or as
    /// the root.
    fn deliver(&mut self, text: String, located: Located) {
        let Some(Open { children, key, .. }) = self.open.last_mut() else {
            self.found.root = Some(located);
            return;
        };
        match children {
            Children::None => {}
            Children::List(entries) => entries.push(located),
            Children::Map(entries) => match key.take() {
                None => *key = Some((text, located.location)),
                Some((name, location)) => {
                    entries.push((name, Located { location, children: located.children }));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn scan_finds_locations_of_keys_and_entries() {
        let root = scan("a: 1\nb:\n  - x\n  - {c: d}\n").root.unwrap();
        let Children::Map(entries) = root.children else { panic!("a mapping") };
        let at = |line, column| Location { line, column, ..Location::start(FileId::MAIN) };
        assert_eq!(entries[0].1.location, at(1, 1));
        assert_eq!(entries[1].1.location, at(2, 1));
        let Children::List(items) = &entries[1].1.children else { panic!("a list") };
        assert_eq!(items[1].location, at(4, 5));
        let Children::Map(inner) = &items[1].children else { panic!("a mapping") };
        assert_eq!((inner[0].0.as_str(), inner[0].1.location), ("c", at(4, 6)));
    }

    #[test]
    fn scan_stops_at_invalid_documents() {
        assert_eq!(scan("a: !x 1\nb: !!str 2\n").tags.len(), 2);
        assert_eq!(scan("a: 1\n---\nb: 2\n").second_document.unwrap().line, 2);
        assert!(scan(&"- ".repeat(100_000)).too_deep.is_some());
        assert!(scan(&"[".repeat(100_000)).broken.is_some());
        assert!(scan("- ok\n- *nowhere\n").root.is_some());
    }
}
