//! Access for [`fuzzing`](crate::fuzzing) to what is otherwise private.

pub(crate) use super::claims::decode as decode_claims;
pub(crate) use super::client::raw_response::RawResponse;
pub(crate) use super::client::redact::Redactor;
pub(crate) use super::client::response::parse as parse_response;
pub(crate) use super::client::response::{Expected, ParsedResponse};
pub(crate) use super::client::token_type::TokenType;
