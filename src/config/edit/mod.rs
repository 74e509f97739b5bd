//! Changes one service in the text of a services file, and leaves every other byte as it is: comments, order, quotes.
//!
//! ```text
//! services_text  the changes: insert, remove, set, unset
//! meaning        what a change must mean, to which its result is held
//! spans          which bytes each node of the text takes
//! emit           YAML for a value
//! hidden         lines that are not shown to somebody who changes others
//! ```
//!
//! Text is changed by place, and the result is parsed again. Unless it means exactly what the change asked for, there is no result.
//! `inject` changes manifests of Kubernetes with the same `spans` and `emit`.

pub(crate) mod emit;
mod hidden;
mod meaning;
mod services_text;
pub(crate) mod spans;

pub(crate) use hidden::{are_unmoved, lines_of_values};
pub use services_text::{EditError, ServicesText, entry};
