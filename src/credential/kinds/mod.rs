//! One file for each kind of credential.

pub(super) mod api_key;
pub(super) mod basic;
pub(super) mod bearer;
