//! How the content that a stream brings is read as an HTTP/1.1 body.

use crate::proto::http2::request_head::RequestHead;
use crate::proto::http2::upstream_response::UpstreamResponse;

/// The coding of a body that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyCoding {
    /// The number of bytes that are left.
    Length(u64),
    Chunked,
    /// Content without coding, until the stream ends.
    Raw,
    Done,
}

impl BodyCoding {
    /// The coding of the body of a request. `has_body`: the stream continues after its head.
    pub(super) fn of_request(head: &RequestHead, has_body: bool) -> Self {
        match head.content_length {
            _ if head.is_websocket => Self::Raw,
            _ if !has_body => Self::Done,
            Some(0) if !head.announces_trailers => Self::Done,
            Some(length) if !head.announces_trailers => Self::Length(length),
            _ => Self::Chunked,
        }
    }

    /// The coding of the body of a response. `has_body`: the stream continues after its head.
    pub(super) fn of_response(response: UpstreamResponse, has_body: bool) -> Self {
        match response.content_length {
            _ if !has_body => Self::Done,
            _ if response.is_chunked => Self::Chunked,
            Some(0) | None => Self::Done,
            Some(length) => Self::Length(length),
        }
    }
}
