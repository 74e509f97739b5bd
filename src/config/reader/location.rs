//! Where every node of the file stands: line and column, which `serde_yaml` does not keep.
//!
//! A second parser walks the same text for places alone. What the file means is never taken from here; where
//! the two parsers disagree, a mistake is shown at the nearest node both know.

use saphyr_parser::{Event, Marker, Parser};

/// Nodes nested deeper than this are no configuration, and cost the YAML parser more than linear time.
pub(crate) const MAX_DEPTH: usize = 32;

/// A place in the file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Location {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    fn of(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// The place of a node and of the nodes in it, in the order of the file.
pub(crate) struct Located {
    /// Of the key for an entry of a mapping, of the node itself otherwise.
    pub(crate) location: Location,
    pub(crate) children: Children,
}

/// What a node holds.
pub(crate) enum Children {
    /// A scalar, or an alias: what it stands for is placed where the alias is.
    None,
    List(Vec<Located>),
    Map(Vec<(String, Located)>),
}

/// What the walk found.
#[derive(Default)]
pub(crate) struct ScanResult {
    pub(crate) root: Option<Located>,
    /// Every explicit tag (`!x`, `!!str`).
    pub(crate) tags: Vec<Location>,
    /// Where a second document begins.
    pub(crate) second_document: Option<Location>,
    /// Where nesting goes past [`MAX_DEPTH`].
    pub(crate) too_deep: Option<Location>,
    /// Where this parser could not go on, though the other one perhaps can.
    pub(crate) broken: Option<Location>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    location: Location,
    children: Children,
    key: Option<(String, Location)>,
}

/// Walks the text; stops at the first thing that no configuration has.
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
    // After an error the places up to there are still good.
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

    /// A whole node: the key of its parent, the value of that key, an entry of a list, or the root.
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
    fn knows_the_place_of_keys_and_entries() {
        let root = scan("a: 1\nb:\n  - x\n  - {c: d}\n").root.unwrap();
        let Children::Map(entries) = root.children else { panic!("a mapping") };
        assert_eq!(entries[0].1.location, Location { line: 1, column: 1 });
        assert_eq!(entries[1].1.location, Location { line: 2, column: 1 });
        let Children::List(items) = &entries[1].1.children else { panic!("a list") };
        assert_eq!(items[1].location, Location { line: 4, column: 5 });
        let Children::Map(inner) = &items[1].children else { panic!("a mapping") };
        assert_eq!((inner[0].0.as_str(), inner[0].1.location), ("c", Location { line: 4, column: 6 }));
    }

    #[test]
    fn stops_at_what_no_configuration_has() {
        assert_eq!(scan("a: !x 1\nb: !!str 2\n").tags.len(), 2);
        assert_eq!(scan("a: 1\n---\nb: 2\n").second_document.unwrap().line, 2);
        assert!(scan(&"- ".repeat(100_000)).too_deep.is_some());
        assert!(scan(&"[".repeat(100_000)).broken.is_some());
        assert!(scan("- ok\n- *nowhere\n").root.is_some());
    }
}
