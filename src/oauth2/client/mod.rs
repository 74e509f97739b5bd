//! The OAuth 2.0 client: one HTTP request to a token endpoint, authenticated, and its response classified.

pub(super) mod auth;
mod chosen_token;
mod content_coding;
pub(super) mod discovery;
mod duration_text;
pub mod endpoint;
pub(crate) mod expired;
pub(crate) mod fresh_secret;
pub(crate) mod http;
pub(crate) mod issued;
mod lifetime;
pub(crate) mod observed;
mod presented_assertion;
pub(super) mod raw_response;
pub(super) mod redact;
mod request;
pub(super) mod response;
mod response_error;
pub(super) mod response_members;
pub(super) mod stated_end;
mod timestamp;
pub(super) mod token_type;
pub mod turns;
mod utf32;

pub(crate) use stated_end::own_end;
