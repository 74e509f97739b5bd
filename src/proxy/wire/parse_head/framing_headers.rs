//! The fields that decide where a message ends and whether its connection is kept, and others that are looked up in the same pass.

use std::time::Duration;

use httparse::Header;

use super::bad;
use super::page_fields::PageFields;
use crate::proto::fields::{HeaderClass, has_token, tokens};
use crate::proto::grpc;
use crate::proxy::error::ProxyError;
use crate::proxy::wire::framing::MAX_SIZE;

/// The header fields that decide the framing and the reuse of the connection.
#[derive(Default)]
pub(super) struct FramingHeaders<'b> {
    pub(super) host: Option<&'b [u8]>,
    pub(super) destination: Option<&'b [u8]>,
    pub(super) condition: Option<&'b [u8]>,
    pub(super) page: PageFields<'b>,
    pub(super) length: Option<u64>,
    pub(super) is_chunked: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    pub(super) has_connection_options: bool,
    pub(super) is_websocket: bool,
    pub(super) wants_trailers: bool,
    pub(super) keep_alive_for: Option<Duration>,
    pub(super) is_grpc: bool,
    pub(super) is_grpc_unauthenticated: bool,
}

impl<'b> FramingHeaders<'b> {
    pub(super) fn of(fields: &[Header<'b>]) -> Result<Self, ProxyError> {
        let mut headers = Self::default();
        for field in fields {
            let value = field.value;
            match HeaderClass::of(field.name) {
                HeaderClass::Host if headers.host.replace(value).is_some() => {
                    return Err(bad("more than one Host"));
                }
                HeaderClass::ContentLength => {
                    let length =
                        content_length(value).ok_or_else(|| bad("Content-Length is not a number"))?;
                    if headers.length.replace(length).is_some() {
                        return Err(bad("more than one Content-Length"));
                    }
                }
                HeaderClass::Destination if headers.destination.replace(value).is_some() => {
                    return Err(bad("more than one Destination"));
                }
                HeaderClass::If if headers.condition.replace(value).is_some() => {
                    return Err(bad("more than one If"));
                }
                HeaderClass::TransferEncoding => {
                    if headers.is_chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                        return Err(bad("Transfer-Encoding is not just chunked"));
                    }
                    headers.is_chunked = true;
                }
                HeaderClass::Connection => tokens(value).for_each(|token| headers.connection(token)),
                HeaderClass::Upgrade => {
                    headers.is_websocket |= value.trim_ascii().eq_ignore_ascii_case(b"websocket");
                }
                HeaderClass::HopByHop if field.name.len() == 10 => {
                    headers.keep_alive_for = keep_alive_for(value);
                }
                HeaderClass::EndToEnd if grpc::is_content_type(field) => headers.is_grpc = true,
                HeaderClass::EndToEnd if grpc::is_unauthenticated(field) => {
                    headers.is_grpc_unauthenticated = true;
                }
                HeaderClass::EndToEnd => headers.page.read(field),
                HeaderClass::Te => headers.wants_trailers |= has_token(value, "trailers"),
                _ => {}
            }
        }
        Ok(headers)
    }

    /// Records one token of `Connection`.
    fn connection(&mut self, token: &[u8]) {
        let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
        match token.len() {
            2 if is("te") => {}
            5 if is("close") => self.close = true,
            7 if is("upgrade") => self.upgrade = true,
            10 if is("keep-alive") => self.keep_alive = true,
            _ => self.has_connection_options = true,
        }
    }
}

/// Returns `timeout=N` of a `Keep-Alive` field (RFC 2068 §19.7.1.1; sent by Node, Apache and others).
fn keep_alive_for(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?;
    let seconds = text.split(',').find_map(|parameter| {
        let (name, number) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| number.trim().parse::<u32>().ok())?
    })?;
    Some(Duration::from_secs(seconds.into()))
}

/// Parses a `Content-Length`: digits only, without a sign, a list or a space within, and no larger than a number with a sign can be.
fn content_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value.trim_ascii()).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|length| *length <= MAX_SIZE)
}
