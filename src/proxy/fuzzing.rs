//! Access for [`fuzzing`](crate::fuzzing) to what is otherwise private.

pub(crate) use super::wire::framing::{ChunkedDecoder, Framing, FramingError, Segment};
pub(crate) use super::wire::location::Locations;
pub(crate) use super::wire::parse_head::connect as parse_connect;
pub(crate) use super::wire::parse_head::end as end_of_head;
pub(crate) use super::wire::parse_head::request as parse_request;
pub(crate) use super::wire::parse_head::response as parse_response;
pub(crate) use super::wire::parse_head::{BodyKind, ConnectHead, HeaderBuffer, MAX_HEAD, expects_continue};
pub(crate) use super::wire::response_urls::{CallerAuthority, ResponseUrls};
pub(crate) use super::wire::write_head::informational as write_informational;
pub(crate) use super::wire::write_head::response as write_response;
pub(crate) use super::wire::write_head::{TransferMode, choose_transfer_mode};

use super::request::prepare;
use super::request::wildcard::EndpointSlot;
use super::session::ConnectionContext;
use crate::net::buffer::Buffer;

/// The limit on the fields of a response's head.
pub(crate) const MAX_RESPONSE_FIELDS: usize = 128;

/// The head that is sent to the upstream for a caller's head; `None` if the request is rejected.
pub(crate) fn upstream_head(context: &ConnectionContext, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Buffer::acquire();
    let slot = EndpointSlot::new();
    let prepared = prepare::prepare(context, bytes, &mut out, &prepare::Attempt::FIRST, &slot).ok()?;
    assert_eq!(prepared.signed.is_ok(), !out.is_empty(), "a head is written exactly if it is signed");
    prepared.signed.ok().map(|_| out.filled().to_vec())
}
