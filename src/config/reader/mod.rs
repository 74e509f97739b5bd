//! Reads YAML and reports every error at once, each with its line.
//!
//! `document` parses the text into a `tree`; `location` knows the line of every node; `resolve` applies merge keys and
//! variables (`interpolate`). `mapping` hands out the keys of a mapping, `value` reads one value, `report` collects
//! errors, `suggest` finds the nearest known key. A section's reader is a function from a `Mapping` to its type:
//!
//! ```ignore
//! let mut table = item.table()?;                       // reports an error if the value is no mapping
//! let limit = table.optional("max_in_flight");         // remembers the key as known
//! let limit = limit.and_then(|item| item.parse(...));  // reports an error with the line of the value
//! table.reject_unknown_keys();                                      // reports every key that nothing asked for
//! ```

mod command;
pub(crate) mod document;
pub mod duration;
pub(crate) mod error;
pub mod header;
pub(crate) mod interpolate;
mod location;
mod renamed;
pub(crate) mod report;
pub(crate) mod resolve;
pub mod secret;
mod sections;
pub mod suggest;
pub(crate) mod tree;
pub mod value;
