//! `auth` and `credentials`: what a service injects. Each kind of credential reads its own settings.

pub(super) mod credentials;
pub(super) mod list;
pub mod placement;
pub mod previous;
pub(super) mod settings;
