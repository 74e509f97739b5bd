//! The sidecar in the text of manifests: what is added is put between the bytes that are there, and taken out again.
//!
//! ```text
//! manifest    a text with several documents: injected, or restored
//! document    one document: its bytes, what it means, the objects in it
//! injected    operations on a document's objects, as edits of its bytes
//! insert      where an operation's bytes go
//! restored    what was added, and the edits that take it out
//! remove      which bytes an entry or item takes
//! restore     what a Pod must remember so that its text can be restored byte for byte
//! edit        edits of bytes, and where nodes are
//! ```
//!
//! No edit is believed: the result is parsed, and must mean what the operations say. What was injected is restored at once, and
//! must be what was there byte for byte. Otherwise there is no result.

mod document;
mod edit;
mod injected;
mod insert;
mod manifest;
mod remove;
mod restore;
mod restored;

pub use manifest::{MAX_SIZE, Manifest, ObjectReport, Outcome, TextError, inject, uninject};

#[cfg(test)]
mod tests;
