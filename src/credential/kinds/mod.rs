//! One file for each kind of credential.

pub mod api_key;
pub mod basic;
pub mod bearer;
pub mod header;
pub mod hmac;
pub mod oauth2;
