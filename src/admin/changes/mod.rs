//! Services that are added and changed through the API.
//!
//! ```text
//! handlers   the operations
//! request    what they read
//! change     one change: drafted, tested, written, in use
//! view       what they answer
//! presets    what can be added
//! ```

mod change;
pub(super) mod handlers;
pub(super) mod presets;
mod request;
mod view;
