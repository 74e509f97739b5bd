//! Floods that the `h2` crate (0.4) lets pass, and what it drops of a caller's field blocks, although it makes a request malformed (RFC 9113 §8.1,
//! §8.3.1): the fragment of a `:path`, and fields of a trailer section (pseudo-header fields, and all above a limit).
//!
//! ```text
//! frames       bytes of a connection -> field blocks of its streams -> findings
//! field_block  a field block -> the number of its fields, and whether a `:path` has a fragment
//! names        the names that fields of the tables have
//! huffman      the code of its strings
//! flood        frames without content that are too many
//! findings     the malformed streams, and the number of fields of each trailer section
//! ```
//!
//! The `h2` crate reads the same bytes afterwards, and decodes them. What cannot be read makes the rest of the connection
//! malformed.

mod field_block;
mod findings;
mod flood;
mod frames;
mod huffman;
mod names;

pub use findings::Findings;
pub use frames::Inspector;
