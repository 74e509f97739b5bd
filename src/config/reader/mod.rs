//! Reads YAML and reports every error at once, each with its line.
//!
//! `document` parses the text into a `tree`; `location` finds the line of every node; `resolve` applies merge
//! keys and variables (`interpolate`). `value` reads a value, `mapping` a mapping key by key; `report` collects
//! errors; `suggest` finds the most similar known key. `table` has what a reader reads by, and `schema` makes parts of
//! the JSON Schema from it. `settings` has what readers asked for. `secret`, `duration`, `size` and `header` read values of these
//! kinds; `stores` has the stores that secrets are read from; `sections` names the sections that hold secrets, and `renamed` the
//! keys that were renamed. A section's reader is a function from a `Value` to the section's type:
//!
//! ```ignore
//! const KEYS: Keys = &[Key::optional("max_in_flight", Format::Number(1, 1_000), "Requests at a time.")];
//!
//! let mut mapping = value.mapping()?;                    // reports an error if the value is not a mapping
//! let limit = mapping.optional("max_in_flight");         // the table must have the key
//! let limit = limit.and_then(|value| value.parse(...));  // reports an error with the line of the value
//! mapping.reject_unknown_keys();                         // reports every key that the reader did not ask for
//! ```

pub(crate) mod document;
pub mod duration;
pub(crate) mod error;
pub mod header;
pub(crate) mod interpolate;
pub(crate) mod location;
pub mod mapping;
mod renamed;
pub(crate) mod report;
pub(crate) mod resolve;
pub mod schema;
pub mod secret;
pub(crate) mod sections;
pub mod settings;
pub mod size;
pub(crate) mod stores;
pub mod suggest;
pub mod table;
pub(crate) mod tree;
pub mod value;
