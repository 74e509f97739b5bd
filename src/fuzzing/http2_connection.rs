//! The property of a caller's HTTP/2 connection: whatever frames come, what is sent is whole frames within the caller's windows, what is
//! kept stays within the limits, and a request that is complete has one head and one body of HTTP/1.1.
//!
//! An input is what comes behind the preface. Its first byte decides in how many pieces it comes, and what the streams do.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::ReadBuf;

use super::chunked_body::read_plainly;
use super::frames::exchange;
use super::plain_head::assert_is_one_head;
use crate::net::http2::{Accepted, InboundBody, Receiver, Requests, StreamHandle, Streams};
use crate::proto::http2::BodySink as _;
use crate::proto::http2::limits::CONNECTION_WINDOW;
use crate::proto::http2::request_head::RequestHead;
use crate::proto::http2::response_head::ResponseContext;

const MAX_STREAMS: u32 = 4;

/// A request, and what was read of it.
struct Exchange {
    stream: StreamHandle,
    head: RequestHead,
    body: InboundBody,
    bytes: Vec<u8>,
    has_responded: bool,
}

/// Checks the property on the frames of a caller.
pub fn http2_connection(input: &[u8]) {
    let Some((&choice, frames)) = input.split_first() else { return };
    let streams = Arc::new(Mutex::new(Streams::server(MAX_STREAMS)));
    let mut receiver = Receiver::new(Requests::default());
    let mut exchanges: Vec<Exchange> = Vec::new();
    exchange(frames, 1 + usize::from(choice) * 7, &streams, &mut receiver, 0, |receiver| {
        while let Some(accepted) = receiver.role.next_accepted(&streams) {
            let Accepted::Request { stream, buffer, head, has_body } = accepted else { continue };
            assert_is_one_head(buffer.filled());
            let body = InboundBody::of_request(&head, has_body);
            exchanges.push(Exchange { stream, head, body, bytes: Vec::new(), has_responded: false });
        }
        assert!(exchanges.len() <= MAX_STREAMS as usize, "too many streams");
        exchanges.retain_mut(|exchange| exchange.go_on(choice));
    });
    drop(exchanges);
    assert!(streams.lock().is_empty(), "a stream is left");
}

impl Exchange {
    /// Reads what has come, and responds if the request is complete or the choice says so. Returns whether the stream goes on.
    fn go_on(&mut self, choice: u8) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut piece = vec![0; 1 + usize::from(choice) * 3];
        let is_tunnel = self.head.is_websocket;
        while !self.body.is_done() {
            let mut buf = ReadBuf::new(&mut piece);
            match self.body.poll_read(&self.stream, &cx, &mut buf) {
                Poll::Ready(Ok(())) if buf.filled().is_empty() => {
                    assert!(is_tunnel, "a body without its end");
                    break;
                }
                Poll::Ready(Ok(())) => self.bytes.extend_from_slice(buf.filled()),
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => break,
            }
            assert!(self.bytes.len() <= 2 * CONNECTION_WINDOW as usize);
        }
        if self.body.is_done() && !is_tunnel {
            match self.head.content_length.filter(|_| !self.head.announces_trailers) {
                Some(length) => assert!(self.bytes.is_empty() || self.bytes.len() as u64 == length),
                None => assert!(self.bytes.is_empty() || read_plainly(&self.bytes).is_some(), "no body"),
            }
        } else if choice.is_multiple_of(2) {
            return true;
        }
        if !self.has_responded {
            if self.stream.poll_room(&cx).is_pending() {
                return true;
            }
            let context = ResponseContext { is_head: self.head.is_head, ..ResponseContext::default() };
            let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n";
            if self.stream.send_response(response, context).is_err() || context.is_head {
                return false;
            }
            self.has_responded = true;
        }
        let content = [b'x'; 300];
        let sent = (&self.stream).poll_send(&mut cx, &content, choice.is_multiple_of(3));
        match sent {
            Poll::Pending => true,
            Poll::Ready(Ok(count)) => count < content.len() && choice.is_multiple_of(3),
            Poll::Ready(Err(_)) => false,
        }
    }
}
