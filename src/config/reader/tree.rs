//! The tree of nodes that `serde_yaml` parses a text into.
//!
//! Unlike `serde_yaml`'s own `Value`, it keeps both entries of a duplicate key, so that the error can name
//! both lines and the rest of the file is still checked. Its size is limited: aliases that refer to aliases
//! end in an error instead of filling the memory.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use serde::de::{DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor};
use zeroize::Zeroizing;

use super::location::{FileId, Location, MAX_DEPTH};

/// Largest number of nodes, after aliases are expanded. A thousand services with all keys have fewer.
pub(crate) const MAX_NODES: usize = 50_000;
/// Largest size of all text, after aliases are expanded, in bytes: more than a file without aliases can have.
pub(crate) const MAX_TEXT: usize = 4 * 1024 * 1024;

/// A node of the file. No `Debug`: any text may be a secret.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) location: Location,
    /// Its path, if the node stands elsewhere than where it is read: a default has the path of its own.
    pub(crate) path: Option<Rc<str>>,
}

/// The kind of a node.
#[derive(Clone)]
pub(crate) enum Kind {
    Null,
    /// Its error was reported; no further error is reported for it.
    Invalid,
    Bool(bool),
    /// A whole number; `None` if it is negative or too large.
    Number(Option<u64>),
    /// A number with a fraction.
    Fraction(f64),
    Text {
        value: Zeroizing<String>,
        /// A variable was replaced in it, so it may stand for a number or a bool.
        expanded: bool,
    },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Parses the tree; the error comes with the limit that was exceeded, if it was one.
pub(crate) fn build(text: &str) -> Result<Node, (serde_yaml::Error, Option<LimitExceeded>)> {
    let limits = Limits { nodes: Cell::new(0), text: Cell::new(0), exceeded: Cell::new(None) };
    let seed = Builder { limits: &limits, depth: 0 };
    seed.deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| (error, limits.exceeded.get()))
}

/// The limit that a tree exceeds.
#[derive(Clone, Copy)]
pub(crate) enum LimitExceeded {
    Nodes,
    Text,
    Depth,
}

struct Limits {
    nodes: Cell<usize>,
    text: Cell<usize>,
    exceeded: Cell<Option<LimitExceeded>>,
}

#[derive(Clone, Copy)]
struct Builder<'l> {
    limits: &'l Limits,
    depth: usize,
}

impl Builder<'_> {
    fn exceeded<E: serde::de::Error>(self, exceeded: LimitExceeded) -> E {
        self.limits.exceeded.set(Some(exceeded));
        E::custom("limit exceeded")
    }

    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.exceeded(LimitExceeded::Depth));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn count_text<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let bytes = self.limits.text.get() + text.len();
        if bytes > MAX_TEXT {
            return Err(self.exceeded(LimitExceeded::Text));
        }
        self.limits.text.set(bytes);
        Ok(())
    }

    fn node<E: serde::de::Error>(self, kind: Kind) -> Result<Node, E> {
        let nodes = self.limits.nodes.get() + 1;
        if nodes > MAX_NODES {
            return Err(self.exceeded(LimitExceeded::Nodes));
        }
        self.limits.nodes.set(nodes);
        if let Kind::Text { value, .. } = &kind {
            self.count_text(value)?;
        }
        Ok(Node { kind, location: Location::start(FileId::MAIN), path: None })
    }
}

impl<'de> DeserializeSeed<'de> for Builder<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Builder<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        self.node(Kind::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Node, E> {
        self.node(Kind::Null)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        self.node(Kind::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        self.node(Kind::Number(u64::try_from(value).ok()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        self.node(Kind::Number(Some(value)))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Node, E> {
        self.node(Kind::Number(u64::try_from(value).ok()))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Node, E> {
        self.node(Kind::Number(u64::try_from(value).ok()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        self.node(Kind::Fraction(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        self.node(Kind::Text { value: Zeroizing::new(value.to_owned()), expanded: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut entries = Vec::new();
        while let Some(entry) = access.next_element_seed(inner)? {
            entries.push(entry);
        }
        self.node(Kind::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut entries = Vec::new();
        // Every key is text: a service may have the name `404`.
        while let Some(key) = access.next_key::<String>()? {
            inner.count_text(&key)?;
            entries.push((key, access.next_value_seed(inner)?));
        }
        self.node(Kind::Map(entries))
    }

    /// A tag. The location scan rejects it first, unless the two parsers disagree.
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Node, A::Error> {
        let (_, variant) = access.variant::<serde::de::IgnoredAny>()?;
        variant.newtype_variant_seed(self)?;
        Err(A::Error::custom("a tag is not allowed"))
    }
}
