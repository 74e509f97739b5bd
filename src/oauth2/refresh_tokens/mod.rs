//! Rotated refresh tokens: one sequence for each credential, kept encrypted on disk if the configuration has `state`.

pub mod files;
pub(super) mod identity;
pub(super) mod record;
pub mod registry;
pub(super) mod seal;
