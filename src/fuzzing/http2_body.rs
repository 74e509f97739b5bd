//! The property of bodies that are sent by an HTTP/2 stream: what arrives is the content and the trailers that were sent.

use std::future::poll_fn;

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::{DuplexStream, ReadBuf, duplex};
use tokio::runtime::{Builder, Runtime};

use super::chunked_body::{read, read_plainly};
use crate::proto::http2::{Coding, InboundBody, OutboundBody, limits};

/// Bytes that are on their way between the two ends of the connection.
const PIPE: usize = 8 * 1024;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// Checks the property on a body in chunked coding, as the data plane hands it on once it was accepted.
pub fn http2_body(input: &[u8]) {
    let sent = read(input, input.len().max(1), u64::MAX);
    if !sent.is_done {
        return;
    }
    let body = &input[..sent.used];
    for size in [1 + input.len() % 7, 4096] {
        let arrived = RUNTIME.with(|runtime| {
            runtime.block_on(async {
                let (near, far) = duplex(PIPE);
                tokio::join!(send(near, body, size), receive(far, size)).1
            })
        });
        let found = read(&arrived, arrived.len().max(1), u64::MAX);
        assert!(found.is_done && found.used == arrived.len(), "what arrives is no body");
        assert!(found.content == sent.content, "other content arrives");
        assert_eq!(trailers(&arrived), trailers(body), "other trailers arrive");
    }
}

/// Sends the body of a request in pieces of this size, and waits for the response.
async fn send(io: DuplexStream, body: &[u8], size: usize) {
    let (client, connection) = limits::client_builder(64 * 1024).handshake(io).await.expect("a connection");
    let exchange = async {
        let mut client = client.ready().await.expect("a stream");
        let request = Request::post("https://up.example.com/").body(()).expect("a request");
        let (response, mut stream) = client.send_request(request, false).expect("a stream");
        let mut outbound = OutboundBody::new(Coding::chunked());
        for mut piece in body.chunks(size) {
            while !piece.is_empty() {
                let count = poll_fn(|cx| outbound.poll_write(&mut stream, cx, piece)).await;
                piece = &piece[count.expect("a body that can be sent")..];
            }
        }
        response.await.expect("a response");
    };
    let (closed, ()) = tokio::join!(connection, exchange);
    closed.expect("a connection without an error");
}

/// Reads the body of a request, and responds.
async fn receive(io: DuplexStream, size: usize) -> Vec<u8> {
    let mut connection = h2::server::Builder::new().handshake::<_, Bytes>(io).await.expect("a connection");
    let (request, mut respond) = connection.accept().await.expect("a stream").expect("a request");
    let exchange = async {
        let mut inbound = InboundBody::new(request.into_body(), None);
        let (mut arrived, mut piece) = (Vec::new(), vec![0; size]);
        while !inbound.is_done() {
            let mut buf = ReadBuf::new(&mut piece);
            poll_fn(|cx| inbound.poll_read(cx, &mut buf)).await.expect("a body that can be read");
            assert!(!buf.filled().is_empty(), "a body without its end");
            arrived.extend_from_slice(buf.filled());
        }
        respond.send_response(Response::new(()), true).expect("a response");
        arrived
    };
    let closed = async { while connection.accept().await.is_some() {} };
    tokio::join!(exchange, closed).0
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
