//! Services of well-known providers, and of each kind of credential: what must be asked, and the service that results.
//!
//! ```text
//! providers.yaml  the data: one entry for each provider (docs/PROVIDERS.md is made from it)
//! catalog         all of them
//! preset          an entry
//! placeholders    `<NAME>` in the texts of an entry
//! fill            the service that an entry and answers make
//! ```

mod catalog;
mod fill;
mod placeholders;
mod preset;

pub use catalog::{all, find};
pub use fill::{Answers, FillError};
pub use preset::{AnswerFormat, Preset, Question, SecretQuestion};
