//! The property of an HTTP/2 connection to an upstream: whatever frames come, what is sent is whole frames within the upstream's windows,
//! what is kept stays within the limits, and each response that is read has heads and one body of HTTP/1.1.
//!
//! An input is what comes behind the preface. Its first byte decides in how many pieces it comes, and how much is read at a time.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::ReadBuf;

use super::chunked_body::read_plainly;
use super::frames::{assert_is_frames, exchange};
use super::plain_head::{PlainFraming, PlainHead, assert_is_one_head};
use crate::net::http2::{InboundBody, Receiver, Responses, StreamHandle, Streams};
use crate::proto::http2::BodySink as _;
use crate::proto::http2::frame::PREFACE;
use crate::proto::http2::upstream_request::RequestContext;

const MAX_HEAD: u32 = 16 * 1024;
/// The requests of a connection, in the order of their streams: 1, 3, 5.
const REQUESTS: [&[u8]; 3] = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
];

/// A request, and what was read of its response.
struct Exchange {
    stream: StreamHandle,
    is_head: bool,
    /// What is left of the content of the request.
    unsent: usize,
    body: Option<InboundBody>,
    bytes: Vec<u8>,
}

/// Checks the property on the frames of an upstream.
pub fn http2_upstream(input: &[u8]) {
    let Some((&choice, frames)) = input.split_first() else { return };
    let streams = Arc::new(Mutex::new(Streams::client(MAX_HEAD)));
    let mut receiver = Receiver::new(Responses::new(MAX_HEAD));
    let mut exchanges: Vec<_> =
        REQUESTS.into_iter().map(|request| Exchange::begin(&streams, request)).collect();
    let begin = streams.lock().take_out().expect("a preface");
    let begin = begin.filled().strip_prefix(PREFACE).expect("a preface");
    let sent = assert_is_frames(begin);
    exchange(frames, 1 + usize::from(choice) * 7, &streams, &mut receiver, sent, |_| {
        exchanges.retain_mut(|exchange| exchange.go_on(choice));
    });
    drop(exchanges);
    assert!(streams.lock().is_empty(), "a stream is left");
}

impl Exchange {
    fn begin(streams: &Arc<Mutex<Streams>>, request: &[u8]) -> Self {
        let stream = StreamHandle::reserve(streams).expect("a stream");
        let context = RequestContext { is_tls: true, sensitive: Arc::default() };
        let sent = stream.send_request(request, &context).expect("a request");
        let unsent = if sent.coding.is_done() { 0 } else { 100_000 };
        Self { stream, is_head: sent.is_head, unsent, body: None, bytes: Vec::new() }
    }

    /// Sends and reads what there is. Returns whether the stream goes on.
    fn go_on(&mut self, choice: u8) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        if self.unsent > 0 {
            let content = vec![b'x'; self.unsent];
            if let Poll::Ready(Ok(count)) = (&self.stream).poll_send(&mut cx, &content, true) {
                self.unsent -= count;
            }
        }
        let mut piece = vec![0; 1 + usize::from(choice) * 3];
        while self.body.as_ref().is_none_or(|body| !body.is_done()) {
            let mut buf = ReadBuf::new(&mut piece);
            let polled = match &mut self.body {
                None => self.stream.poll_read_heads(&cx, &mut buf).map_ok(|coding| {
                    self.body = coding.map(InboundBody::of_response);
                }),
                Some(body) => body.poll_read(&self.stream, &cx, &mut buf),
            };
            match polled {
                Poll::Ready(Ok(())) => {
                    assert!(!buf.filled().is_empty(), "a response without its end");
                    self.bytes.extend_from_slice(buf.filled());
                }
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => return true,
            }
        }
        self.check();
        false
    }

    /// Checks the response, which was read to its end.
    fn check(&self) {
        let mut rest = &self.bytes[..];
        loop {
            let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
            let (head, body) = rest.split_at(end);
            assert_is_one_head(head);
            let plain = PlainHead::read(head);
            plain.assert_fields_are_clean();
            let status = plain.start.split(|byte| *byte == b' ').nth(1).expect("a status");
            if status.starts_with(b"1") {
                rest = body;
                continue;
            }
            if self.is_head || status == b"204" || status == b"304" {
                return assert!(body.is_empty(), "content of a response that has none");
            }
            return match plain.framing() {
                PlainFraming::Length(length) => assert_eq!(body.len() as u64, length),
                PlainFraming::Chunked => assert!(read_plainly(body).is_some(), "no body"),
                PlainFraming::Unstated => panic!("a body without end"),
            };
        }
    }
}
