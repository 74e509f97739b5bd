//! Tables of keys. A section's reader has a table beside it, with a row for each key: its name, the format of its value, one
//! sentence, and the default.
//!
//! The table is what the reader reads by. A [`Mapping`](super::mapping::Mapping) allows the keys of its tables and no others, and
//! a value has the format of its row: `number` takes the range from there. What the compiler cannot hold to the table is checked
//! in debug builds, and so in every test: a reader that asks for a key without a row, or reads a value as something else than
//! its row says, panics. The JSON Schema is made from the same tables (`schema`), so that it has what the readers read.
//!
//! ```ignore
//! const KEYS: Keys = &[
//!     Key::required("dir", Format::Text, "Folder for state files."),
//!     Key::optional("access_tokens", Format::Bool, "Access tokens are kept as well.").or("false"),
//! ];
//! ```

use std::ops::RangeInclusive;

/// A row of a table: one key of a section.
#[derive(Clone, Copy)]
pub struct Key {
    /// The key as it is written.
    pub name: &'static str,
    /// One sentence for editors.
    pub description: &'static str,
    /// The format of the value.
    pub format: Format,
    pub(super) presence: Presence,
    /// The default as it would be written, if it is a value.
    pub(super) default: Option<&'static str>,
}

/// A table: the keys that a reader reads, in the order in which messages list them.
pub type Keys = &'static [Key];

/// Whether a key must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
    /// Other keys decide.
    Depends,
}

impl Key {
    /// A key that may be missing.
    pub const fn optional(name: &'static str, format: Format, description: &'static str) -> Self {
        Self { name, description, format, presence: Presence::Optional, default: None }
    }

    /// A key that must be there.
    pub const fn required(name: &'static str, format: Format, description: &'static str) -> Self {
        Self::optional(name, format, description).with(Presence::Required)
    }

    /// A key that must be there, or not: other keys decide.
    pub const fn depends(name: &'static str, format: Format, description: &'static str) -> Self {
        Self::optional(name, format, description).with(Presence::Depends)
    }

    /// The same key, where it must be there.
    #[must_use]
    pub const fn and_required(self) -> Self {
        self.with(Presence::Required)
    }

    /// The same key with a default, written as in a configuration but without quotes.
    #[must_use]
    pub const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn with(self, presence: Presence) -> Self {
        Self { presence, ..self }
    }

    /// Whether it must be there.
    pub fn is_required(&self) -> bool {
        self.presence == Presence::Required
    }
}

/// The format of a value.
#[derive(Clone, Copy)]
pub enum Format {
    /// Text.
    Text,
    /// Text that matches a regular expression (ECMA-262), if no variable stands in it.
    Pattern(&'static str),
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// A number from 0 to 1.
    Fraction,
    /// One of several words.
    Words(&'static (dyn Words + Sync)),
    /// A list, which may be empty.
    List(&'static Format),
    /// A list of one or more.
    NonEmptyList(&'static Format),
    /// A list of one or more, or the one value that stands for it.
    OneOrMore(&'static Format),
    /// The same, and no value twice.
    Distinct(&'static Format),
    /// A mapping whose keys are names that the operator chose.
    Names(&'static Names),
    /// A mapping with the keys of these tables.
    Keys(&'static [Keys]),
    /// One of several formats.
    AnyOf(&'static [Format]),
    /// A format with a name, which the schema defines in one place.
    Defined(&'static Definition),
    /// A credential: a mapping with `type` and the keys of that kind, which the reader allows.
    Credential,
    /// The name of a kind of credential.
    CredentialKind,
    /// A store of secrets: a mapping with `type` and the keys of that kind, which the reader allows.
    SecretStore,
    /// A secret: text, or a mapping with the keys of one source, which the reader allows.
    Secret,
    /// Anything that can be written in JSON.
    Json,
}

/// A format with a name.
pub struct Definition {
    /// The name among the schema's definitions.
    pub name: &'static str,
    /// One sentence for editors.
    pub description: &'static str,
    /// The format.
    pub format: Format,
}

/// A mapping whose keys are names that the operator chose.
pub struct Names {
    /// The regular expression of a name, if not every name is allowed.
    pub pattern: Option<&'static str>,
    /// The format of every value.
    pub values: Format,
    /// The smallest number of names.
    pub min: usize,
    /// The largest number of names, if it is limited.
    pub max: Option<usize>,
}

impl Names {
    /// Any number of any names.
    pub const fn of(values: Format) -> Self {
        Self { pattern: None, values, min: 0, max: None }
    }
}

/// Words that a value is chosen from.
pub trait Words {
    /// The words, in the order in which messages list them.
    fn words(&self) -> Vec<&'static str>;
}

/// Words, each with what it stands for.
impl<T, const N: usize> Words for [(&'static str, T); N] {
    fn words(&self) -> Vec<&'static str> {
        self.iter().map(|(word, _)| *word).collect()
    }
}

impl<const N: usize> Words for [&'static str; N] {
    fn words(&self) -> Vec<&'static str> {
        self.to_vec()
    }
}

impl Format {
    /// This format and every one that it allows instead.
    pub(super) fn alternatives(self) -> Vec<Self> {
        let mut all = vec![self];
        match self {
            Self::AnyOf(formats) => all.extend(formats.iter().flat_map(|format| format.alternatives())),
            Self::Defined(definition) => all.extend(definition.format.alternatives()),
            // One value stands for a list of one.
            Self::OneOrMore(item) | Self::Distinct(item) => all.extend(item.alternatives()),
            _ => {}
        }
        all
    }

    /// Whether a value of this format may be text that a reader parses.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Pattern(_) | Self::Secret | Self::Json)
    }

    /// Whether it is the definition of this name.
    pub(super) fn is_defined_as(&self, name: &str) -> bool {
        matches!(self, Self::Defined(definition) if definition.name == name)
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(
            self,
            Self::List(_) | Self::NonEmptyList(_) | Self::OneOrMore(_) | Self::Distinct(_) | Self::Json
        )
    }

    /// The tables of a mapping: none if there are several mappings to choose from, because then the reader chooses.
    pub(super) fn tables(self) -> &'static [Keys] {
        let mut mappings = self.alternatives().into_iter().filter_map(|format| match format {
            Self::Keys(tables) => Some(tables),
            Self::Credential | Self::Secret | Self::SecretStore => Some(&[][..]),
            _ => None,
        });
        match (mappings.next(), mappings.next()) {
            (Some(tables), None) => tables,
            _ => &[],
        }
    }

    /// The format of the entries of a list.
    pub(super) fn of_items(self) -> Self {
        let item = |format| match format {
            Self::List(item) | Self::NonEmptyList(item) | Self::OneOrMore(item) | Self::Distinct(item) => {
                Some(*item)
            }
            _ => None,
        };
        self.alternatives().into_iter().find_map(item).unwrap_or(Self::Json)
    }

    /// The format of the values of a mapping whose keys are names.
    pub(super) fn of_names(self) -> Self {
        let values = |format| match format {
            Self::Names(names) => Some(names.values),
            _ => None,
        };
        self.alternatives().into_iter().find_map(values).unwrap_or(Self::Json)
    }

    /// The range of a whole number; empty if it is none.
    pub(super) fn range(self) -> RangeInclusive<u64> {
        let range = |format| match format {
            Self::Number(min, max) => Some(min..=max),
            _ => None,
        };
        #[expect(clippy::reversed_empty_ranges, reason = "no number is in it")]
        self.alternatives().into_iter().find_map(range).unwrap_or(1..=0)
    }
}
