//! One file for each kind of credential.

pub mod api_key;
pub mod basic;
pub mod bearer;
pub mod oauth2;
