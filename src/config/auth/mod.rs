//! `auth` and `credentials`: what a service injects, and one reader for each `type`.

mod api_key;
mod basic;
mod bearer;
pub(super) mod credentials;
pub(super) mod kinds;
mod previous;
