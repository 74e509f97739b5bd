//! Access for `benches/micro.rs` to what is otherwise private.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

use super::client::raw_response::RawResponse;
use super::client::redact::Redactor;
use super::client::response;
use super::client::response::Expected;
use super::client::token_type::TokenType;
use crate::refresh::SourceError;

/// Parses a token response. Returns the length of its token.
pub fn parse_answer(body: &[u8]) -> Result<usize, SourceError> {
    let answer = RawResponse {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Zeroizing::new(body.to_vec()),
        sent_at: SystemTime::UNIX_EPOCH,
        redactor: Redactor::default(),
    };
    let expected = Expected { token_type: TokenType::Bearer, accepted: None, field: None };
    Ok(response::parse(expected, &answer)?.access?.value.expose().len())
}
