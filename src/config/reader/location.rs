//! Where every node of the file stands: line and column, which `serde_yaml` does not keep.
//!
//! A second parser walks the same text for places alone. What the file means is never taken from here; where
//! the two parsers disagree, a mistake is shown at the nearest node both know.

use saphyr_parser::{Event, Marker, Parser};

/// Nodes nested deeper than this are no configuration, and cost the YAML parser more than linear time.
pub(crate) const MAX_DEPTH: usize = 32;

/// A place in the file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Mark {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    fn of(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// The place of a node and of the nodes in it, in the order of the file.
pub(crate) struct Place {
    /// Of the key for an entry of a mapping, of the node itself otherwise.
    pub(crate) mark: Mark,
    pub(crate) inside: Inside,
}

/// What a node holds.
pub(crate) enum Inside {
    /// A scalar, or an alias: what it stands for is placed where the alias is.
    Nothing,
    List(Vec<Place>),
    Map(Vec<(String, Place)>),
}

/// What the walk found.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) root: Option<Place>,
    /// Every explicit tag (`!x`, `!!str`).
    pub(crate) tags: Vec<Mark>,
    /// Where a second document begins.
    pub(crate) second_document: Option<Mark>,
    /// Where nesting goes past [`MAX_DEPTH`].
    pub(crate) too_deep: Option<Mark>,
    /// Where this parser could not go on, though the other one perhaps can.
    pub(crate) broken: Option<Mark>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    mark: Mark,
    inside: Inside,
    key: Option<(String, Mark)>,
}

/// Walks the text; stops at the first thing that no configuration has.
pub(crate) fn scan(text: &str) -> Scan {
    let mut walk = Walk::default();
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(next) = parser.next_event() {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                walk.found.broken = Some(Mark::of(error.marker()));
                break;
            }
        };
        let mark = Mark::of(&span.start);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    walk.found.second_document = Some(mark);
                    break;
                }
            }
            Event::Scalar(value, _, _, tag) => {
                walk.tagged(tag.is_some(), mark);
                walk.deliver(value.into_owned(), Place { mark, inside: Inside::Nothing });
            }
            Event::Alias(_) => walk.deliver(String::new(), Place { mark, inside: Inside::Nothing }),
            Event::SequenceStart(_, tag) => {
                walk.tagged(tag.is_some(), mark);
                walk.open.push(Open { mark, inside: Inside::List(Vec::new()), key: None });
            }
            Event::MappingStart(_, tag) => {
                walk.tagged(tag.is_some(), mark);
                walk.open.push(Open { mark, inside: Inside::Map(Vec::new()), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => walk.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        if walk.open.len() > MAX_DEPTH {
            walk.found.too_deep = Some(mark);
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
    found: Scan,
}

impl Walk {
    fn tagged(&mut self, tagged: bool, mark: Mark) {
        if tagged {
            self.found.tags.push(mark);
        }
    }

    fn close(&mut self) {
        if let Some(Open { mark, inside, .. }) = self.open.pop() {
            self.deliver(String::new(), Place { mark, inside });
        }
    }

    /// A whole node: the key of its parent, the value of that key, an entry of a list, or the root.
    fn deliver(&mut self, text: String, place: Place) {
        let Some(Open { inside, key, .. }) = self.open.last_mut() else {
            self.found.root = Some(place);
            return;
        };
        match inside {
            Inside::Nothing => {}
            Inside::List(entries) => entries.push(place),
            Inside::Map(entries) => match key.take() {
                None => *key = Some((text, place.mark)),
                Some((name, mark)) => entries.push((name, Place { mark, inside: place.inside })),
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
        let Inside::Map(entries) = root.inside else { panic!("a mapping") };
        assert_eq!(entries[0].1.mark, Mark { line: 1, column: 1 });
        assert_eq!(entries[1].1.mark, Mark { line: 2, column: 1 });
        let Inside::List(items) = &entries[1].1.inside else { panic!("a list") };
        assert_eq!(items[1].mark, Mark { line: 4, column: 5 });
        let Inside::Map(inner) = &items[1].inside else { panic!("a mapping") };
        assert_eq!((inner[0].0.as_str(), inner[0].1.mark), ("c", Mark { line: 4, column: 6 }));
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
