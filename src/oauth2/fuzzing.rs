//! Access for [`fuzzing`](crate::fuzzing) to what is otherwise private.

pub(crate) use super::claims::decode as decode_claims;
pub(crate) use super::client::redact::Redactor;
pub(crate) use super::client::response::parse as parse_response;
pub(crate) use super::client::response::{ParsedResponse, RawResponse, TokenType};
