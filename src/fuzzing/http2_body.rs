//! The property of bodies that are sent by an HTTP/2 stream: what arrives is the content and the trailers that were sent.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::ReadBuf;

use super::chunked_body::{read, read_plainly};
use crate::net::buffer::Buffer;
use crate::net::http2::{Accepted, InboundBody, Receiver, Requests, Responses, StreamHandle, Streams};
use crate::proto::http2::frame::PREFACE;
use crate::proto::http2::upstream_request::RequestContext;
use crate::proto::http2::{Coding, OutboundBody};

/// The head of the request that has the body.
const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: up.example.com\r\nTransfer-Encoding: chunked\r\n\r\n";
const MAX_HEAD: u32 = 64 * 1024;

/// Checks the property on a body in chunked coding, as the data plane hands it on once it was accepted.
pub fn http2_body(input: &[u8]) {
    let sent = read(input, input.len().max(1), u64::MAX);
    if !sent.is_done {
        return;
    }
    let body = &input[..sent.used];
    for size in [1 + input.len() % 7, 4096] {
        let arrived = carry(body, size);
        let found = read(&arrived, arrived.len().max(1), u64::MAX);
        assert!(found.is_done && found.used == arrived.len(), "what arrives is no body");
        assert!(found.content == sent.content, "other content arrives");
        assert_eq!(trailers(&arrived), trailers(body), "other trailers arrive");
    }
}

/// Sends the body of a request from a client to a server, in pieces of this size; returns what the server reads.
fn carry(body: &[u8], size: usize) -> Vec<u8> {
    let client = Arc::new(Mutex::new(Streams::client(MAX_HEAD)));
    let server = Arc::new(Mutex::new(Streams::server(1)));
    let (mut responses, mut requests) =
        (Receiver::new(Responses::new(MAX_HEAD)), Receiver::new(Requests::default()));
    let (mut to_client, mut to_server) = (Buffer::acquire(), Buffer::acquire());
    let mut cx = Context::from_waker(Waker::noop());
    let stream = StreamHandle::reserve(&client).expect("a stream");
    let context = RequestContext { is_tls: false, sensitive: Arc::default() };
    assert_eq!(stream.send_request(HEAD, &context).expect("a head").length, HEAD.len());
    let mut outbound = OutboundBody::new(Coding::chunked());
    let (mut rest, mut incoming, mut arrived) = (body, None, Vec::new());
    let mut has_preface = false;
    loop {
        let piece = &rest[..rest.len().min(size)];
        if let Poll::Ready(count) = outbound.poll_write(&mut &stream, &mut cx, piece) {
            rest = &rest[count.expect("a body that can be sent")..];
        }
        client.lock().begin_turn();
        if let Some(out) = client.lock().take_out() {
            to_server.append(out.filled());
        }
        if !std::mem::replace(&mut has_preface, true) {
            to_server.consume(PREFACE.len());
        }
        requests.receive(&mut to_server, &mut server.lock()).expect("frames of a client");
        if let Some(Accepted::Request { stream, head, has_body, .. }) = requests.role.next_accepted(&server) {
            incoming = Some((InboundBody::of_request(&head, has_body), stream));
        }
        let (inbound, at_server) = incoming.as_mut().expect("a request");
        let mut piece = vec![0; size];
        while !inbound.is_done() {
            let mut buf = ReadBuf::new(&mut piece);
            let Poll::Ready(outcome) = inbound.poll_read(at_server, &cx, &mut buf) else { break };
            outcome.expect("a body that can be read");
            assert!(!buf.filled().is_empty(), "a body without its end");
            arrived.extend_from_slice(buf.filled());
        }
        if inbound.is_done() {
            assert!(rest.is_empty(), "it ends early");
            return arrived;
        }
        if let Some(out) = server.lock().take_out() {
            to_client.append(out.filled());
        }
        responses.receive(&mut to_client, &mut client.lock()).expect("frames of a server");
    }
}

/// The trailers of a body in chunked coding, in an order that does not depend on the version.
fn trailers(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (_, section) = read_plainly(body).expect("a body");
    let lines =
        section.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).take_while(|line| !line.is_empty());
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
        (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii().to_vec())
    };
    let mut fields: Vec<_> = lines.map(field).collect();
    // Fields of the same name keep their order.
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}
