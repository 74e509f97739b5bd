//! Rotated refresh tokens (RFC 9700 §4.14), one sequence for each credential, kept encrypted on disk if the
//! configuration has `state`.

mod identity;
mod persisted_source;
mod record;
mod registry;
mod second_copy;
mod state_dir;
mod state_file;
mod tokens;

pub use identity::Identity;
pub use persisted_source::PersistedSource;
pub use record::StateRecord;
pub use registry::RefreshTokenRegistry;
pub use second_copy::StateCopy;
pub use state_dir::{StateDir, create_state_dir};
pub use state_file::{StateError, StateFile};
