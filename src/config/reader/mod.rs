//! Reads YAML and reports every error at once, each with its line.
//!
//! `document` parses the text into a `tree`; `location` finds the line of every node; `resolve` applies merge
//! keys and variables (`interpolate`). `value` reads a value, or a mapping key by key; `report` collects
//! errors; `suggest` finds the most similar known key. `secret`, `duration` and `header` read values of these
//! kinds; `sections` names the sections that hold secrets, and `renamed` the keys that were renamed. A
//! section's reader is a function from a `Value` to the section's type:
//!
//! ```ignore
//! let mut mapping = value.mapping()?;                    // reports an error if the value is not a mapping
//! let limit = mapping.optional("max_in_flight");         // the key is known from now on
//! let limit = limit.and_then(|value| value.parse(...));  // reports an error with the line of the value
//! mapping.reject_unknown_keys();                         // reports every key that the reader did not ask for
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
