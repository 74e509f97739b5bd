//! HTTP/2 upstreams that break RFC 9113 and RFC 7541, and those that look as if they did.

use std::time::Duration;

use h2::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frame_server::{FrameServer, call, respond};
use super::frames::{settings, window_update};
use crate::harness::flag::{ACK, END_HEADERS, END_STREAM, PADDED, PRIORITY};
use crate::harness::{Frame, Frames, Http2, Request, TIMEOUT, fields, frame, post};

const OK: &[(&str, &str)] = &[(":status", "200")];

fn head(stream: u32, all: &[(&str, &str)]) -> Vec<u8> {
    frame(Frame::HEADERS, END_HEADERS, stream, &fields(all))
}

fn data(stream: u32, content: &[u8]) -> Vec<u8> {
    frame(Frame::DATA, 0, stream, content)
}

/// Reads up to the first frame by which Sidekey rejects what came.
async fn rejection(frames: &mut Frames, what: &str) -> Frame {
    loop {
        let frame = frames.next().await.unwrap_or_else(|| panic!("{what}: closed without an error"));
        if matches!(frame.kind, Frame::GOAWAY | Frame::RESET) {
            return frame;
        }
    }
}

/// What comes on a stream.
type Sent<'a> = &'a dyn Fn(u32) -> Vec<Vec<u8>>;
/// What comes as the response to a request, and what the first GOAWAY or RST_STREAM frame says.
type Case = (&'static str, Vec<Vec<u8>>, Reason);

/// The connection ends, the request gets an error of Sidekey, and the next request gets another connection.
async fn assert_connection_errors(cases: Vec<Case>) {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    for (what, sent, reason) in cases {
        let calling = call(&sidekey);
        let mut frames = server.accept_request().await;
        frames.send_bytes(&sent.concat()).await.unwrap();
        let response = calling.await.unwrap();
        assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")), "{what}");
        let rejection = rejection(&mut frames, what).await;
        assert_eq!((rejection.kind, rejection.reason()), (Frame::GOAWAY, reason), "{what}");
        assert_eq!(frames.until(Frame::HEADERS).await, None, "{what}: closed");
    }
    let last = call(&sidekey);
    respond_to_first(&mut server.accept().await).await;
    assert_eq!(last.await.unwrap().text(), "alive");
}

async fn respond_to_first(frames: &mut Frames) {
    let stream = frames.until(Frame::HEADERS).await.unwrap().stream;
    respond(frames, stream, "alive").await;
}

#[tokio::test]
async fn http2_upstream_frames_of_wrong_size_are_frame_size_errors() {
    let reason = Reason::FRAME_SIZE_ERROR;
    assert_connection_errors(vec![
        ("DATA over the limit", vec![data(1, &[0; 32 * 1024 + 1])], reason),
        ("SETTINGS of five bytes", vec![frame(Frame::SETTINGS, 0, 0, &[0; 5])], reason),
        ("an acknowledgement with settings", vec![frame(Frame::SETTINGS, ACK, 0, &[0; 6])], reason),
        ("PING of seven bytes", vec![frame(Frame::PING, 0, 0, &[0; 7])], reason),
        ("GOAWAY of seven bytes", vec![frame(Frame::GOAWAY, 0, 0, &[0; 7])], reason),
        ("RST_STREAM of three bytes", vec![frame(Frame::RESET, 0, 1, &[0; 3])], reason),
        ("WINDOW_UPDATE of three bytes", vec![frame(Frame::WINDOW_UPDATE, 0, 0, &[0; 3])], reason),
    ])
    .await;
}

#[tokio::test]
async fn http2_upstream_frames_out_of_place_are_protocol_errors() {
    let reason = Reason::PROTOCOL_ERROR;
    let promise = [&2_u32.to_be_bytes()[..], &fields(&[(":method", "GET"), (":path", "/")])].concat();
    assert_connection_errors(vec![
        ("PUSH_PROMISE", vec![frame(Frame::PUSH_PROMISE, END_HEADERS, 1, &promise)], reason),
        ("HEADERS of a stream that was not opened", vec![head(3, OK)], reason),
        ("HEADERS of a stream of the server", vec![head(2, OK)], reason),
        ("HEADERS of the connection", vec![head(0, OK)], reason),
        ("DATA of a stream that was not opened", vec![data(3, b"x")], reason),
        ("DATA of the connection", vec![data(0, b"x")], reason),
        ("DATA with too much padding", vec![frame(Frame::DATA, PADDED, 1, &[5, 0])], reason),
        ("RST_STREAM of a stream that was not opened", vec![frame(Frame::RESET, 0, 3, &[0; 4])], reason),
        ("WINDOW_UPDATE of a stream that was not opened", vec![window_update(3, 1)], reason),
        ("CONTINUATION of nothing", vec![frame(Frame::CONTINUATION, END_HEADERS, 1, &fields(OK))], reason),
        (
            "DATA between HEADERS and CONTINUATION",
            vec![frame(Frame::HEADERS, 0, 1, &fields(OK)), data(1, b"x")],
            reason,
        ),
        ("SETTINGS of a stream", vec![frame(Frame::SETTINGS, 0, 1, b"")], reason),
        ("PING of a stream", vec![frame(Frame::PING, 0, 1, &[0; 8])], reason),
        ("GOAWAY of a stream", vec![frame(Frame::GOAWAY, 0, 1, &[0; 8])], reason),
    ])
    .await;
}

#[tokio::test]
async fn http2_upstream_settings_and_windows_that_are_not_valid_are_errors() {
    assert_connection_errors(vec![
        ("push is enabled", vec![settings(2, 1)], Reason::PROTOCOL_ERROR),
        ("frames are too small", vec![settings(5, 16 * 1024 - 1)], Reason::PROTOCOL_ERROR),
        ("frames are too large", vec![settings(5, 1 << 24)], Reason::PROTOCOL_ERROR),
        ("a window is too large", vec![settings(4, 1 << 31)], Reason::FLOW_CONTROL_ERROR),
        ("a window is opened by nothing", vec![window_update(0, 0)], Reason::PROTOCOL_ERROR),
        (
            "a window is opened too far",
            vec![window_update(0, (1 << 31) - 1), window_update(0, 1)],
            Reason::FLOW_CONTROL_ERROR,
        ),
    ])
    .await;
}

#[tokio::test]
async fn http2_upstream_field_blocks_that_are_not_valid_end_the_connection() {
    let continued: Vec<_> = (0..40).map(|_| frame(Frame::CONTINUATION, 0, 1, b"")).collect();
    let first = frame(Frame::HEADERS, 0, 1, &fields(OK));
    assert_connection_errors(vec![
        (
            "an index of no field",
            vec![frame(Frame::HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0x7f])],
            Reason::COMPRESSION_ERROR,
        ),
        (
            "a table over the limit",
            vec![frame(Frame::HEADERS, END_HEADERS, 1, &[0x3f, 0xff, 0xff, 0x03])],
            Reason::COMPRESSION_ERROR,
        ),
        ("a block in many frames", [vec![first], continued].concat(), Reason::ENHANCE_YOUR_CALM),
    ])
    .await;
}

#[tokio::test]
async fn http2_malformed_response_resets_its_stream_only() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let first = call(&sidekey);
    let mut frames = server.accept().await;
    respond_to_first(&mut frames).await;
    assert_eq!(first.await.unwrap().text(), "alive");
    let cases: [(&str, Sent<'_>); 8] = [
        ("DATA before HEADERS", &|id| vec![data(id, b"x")]),
        ("no status", &|id| vec![head(id, &[("x-a", "1")])]),
        ("a status behind a field", &|id| vec![head(id, &[("x-a", "1"), OK[0]])]),
        ("two statuses", &|id| vec![head(id, &[OK[0], OK[0]])]),
        ("two lengths", &|id| vec![head(id, &[OK[0], ("content-length", "1"), ("content-length", "2")])]),
        ("an interim response that ends", &|id| {
            vec![frame(Frame::HEADERS, END_HEADERS | END_STREAM, id, &fields(&[(":status", "103")]))]
        }),
        ("a window opened by nothing", &|id| vec![window_update(id, 0)]),
        ("a head that is too large", &|id| {
            let value = "x".repeat(15_000);
            let all: Vec<_> = std::iter::once(OK[0]).chain((0..20).map(|_| ("x-a", &*value))).collect();
            let block = fields(&all);
            let mut parts = block.chunks(16 * 1024);
            let mut sent = vec![frame(Frame::HEADERS, 0, id, parts.next().unwrap())];
            sent.extend(parts.map(|part| frame(Frame::CONTINUATION, 0, id, part)));
            sent.push(frame(Frame::CONTINUATION, END_HEADERS, id, b""));
            sent
        }),
    ];
    for (what, sent) in cases {
        let calling = call(&sidekey);
        let stream = frames.until(Frame::HEADERS).await.expect("the same connection").stream;
        frames.send_bytes(&sent(stream).concat()).await.unwrap();
        let response = calling.await.unwrap();
        assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")), "{what}");
        let rejection = rejection(&mut frames, what).await;
        assert_eq!(
            (rejection.kind, rejection.stream, rejection.reason()),
            (Frame::RESET, stream, Reason::PROTOCOL_ERROR),
            "{what}"
        );
    }
    // A priority is deprecated. One that names its own stream is an error nevertheless.
    let last = call(&sidekey);
    let stream = frames.until(Frame::HEADERS).await.expect("the same connection").stream;
    let own = [&stream.to_be_bytes()[..], &[0], &fields(OK)].concat();
    frames.send(Frame::HEADERS, END_HEADERS | PRIORITY, stream, &own).await.unwrap();
    assert_eq!(last.await.unwrap().status, 502);
    let last = call(&sidekey);
    respond_to_first(&mut frames).await;
    assert_eq!(last.await.unwrap().text(), "alive");
}

#[tokio::test]
async fn http2_response_that_breaks_off_is_cut() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let trailers = |all: &[(&str, &str)], flags| frame(Frame::HEADERS, END_HEADERS | flags, 1, &fields(all));
    for (what, end) in [
        ("trailers that do not end it", trailers(&[("x-sum", "1")], 0)),
        ("a status in trailers", trailers(OK, END_STREAM)),
        ("a field of a connection in trailers", trailers(&[("connection", "close")], END_STREAM)),
        ("a reset", frame(Frame::RESET, 0, 1, &8_u32.to_be_bytes())),
        ("the end of the connection", frame(Frame::PING, 0, 0, b"")),
    ] {
        let calling = call(&sidekey);
        let mut frames = server.accept_request().await;
        frames.send_bytes(&[head(1, OK), data(1, b"part"), end].concat()).await.unwrap();
        let response = calling.await.unwrap();
        drop(frames);
        assert!(!response.complete, "{what}: {response:?}");
        assert!(response.status == 200 || response.status == 502, "{what}: {response:?}");
    }
}

#[tokio::test]
async fn http2_response_before_a_reset_or_the_end_is_whole() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let whole = || {
        [head(1, &[OK[0], ("x-a", "1")]), data(1, b"all "), frame(Frame::DATA, END_STREAM, 1, b"of it")]
            .concat()
    };
    let no_error = [0; 4];
    for (what, end) in [
        ("a reset", frame(Frame::RESET, 0, 1, &no_error)),
        ("GOAWAY", frame(Frame::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])),
        ("GOAWAY that says it was not processed", frame(Frame::GOAWAY, 0, 0, &[0; 8])),
        ("a frame that is an error", frame(Frame::PING, 0, 0, b"")),
        ("nothing", Vec::new()),
    ] {
        // The request has not ended when the response does.
        let mut caller = Http2::open(sidekey.address()).await;
        let call = caller.begin(post("/api/x")).await;
        let mut frames = server.accept_request().await;
        frames.send_bytes(&[whole(), end].concat()).await.unwrap();
        drop(frames);
        let response = call.response().await;
        assert_eq!((response.status, response.text().as_str()), (200, "all of it"), "{what}");
    }
}

/// gRPC servers do not encode the spaces of `grpc-message`.
#[tokio::test]
async fn http2_upstream_values_lose_the_whitespace_around_them() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let mut caller = Http2::open(sidekey.address()).await;
    let call = caller.begin(post("/api/x")).await;
    let mut frames = server.accept_request().await;
    frames.send_bytes(&[head(1, &[OK[0], ("x-a", " 1\t")]), data(1, b"x")].concat()).await.unwrap();
    let trailers = fields(&[("grpc-status", "2"), ("grpc-message", " not found ")]);
    frames.send(Frame::HEADERS, END_HEADERS | END_STREAM, 1, &trailers).await.unwrap();
    let response = call.response().await;
    assert_eq!((response.text().as_str(), response.header("x-a")), ("x", Some("1")));
    let trailer = |name: &str| response.trailers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!((trailer("grpc-status"), trailer("grpc-message")), (Some("2"), Some("not found")));
}

#[tokio::test]
async fn http2_late_frames_of_cancelled_requests_are_ignored() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let first = call(&sidekey);
    let mut frames = server.accept().await;
    respond_to_first(&mut frames).await;
    first.await.unwrap();
    // More than are remembered.
    let mut cancelled = Vec::new();
    for _ in 0..40 {
        let mut client = sidekey.connect().await;
        client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        cancelled.push(frames.until(Frame::HEADERS).await.unwrap().stream);
        drop(client);
        assert_eq!(frames.until(Frame::RESET).await.unwrap().reason(), Reason::CANCEL);
    }
    for stream in cancelled {
        let late = [head(stream, OK), data(stream, b"late"), window_update(stream, 5)].concat();
        frames.send_bytes(&late).await.unwrap();
        frames.send(Frame::HEADERS, END_HEADERS | END_STREAM, stream, &fields(&[("x", "1")])).await.unwrap();
    }
    let last = call(&sidekey);
    respond_to_first(&mut frames).await;
    assert_eq!(last.await.unwrap().text(), "alive");
}

#[tokio::test]
async fn http2_upstream_settings_are_followed() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let first = call(&sidekey);
    let mut frames = server.accept_request().await;
    // No further stream at a time, and no table.
    frames.send_bytes(&[settings(3, 1), settings(1, 0)].concat()).await.unwrap();
    frames.send(Frame::PING, 0, 0, b"sync ...").await.unwrap();
    frames.until(Frame::PING).await.unwrap();
    let second = call(&sidekey);
    let mut other = server.accept().await;
    respond_to_first(&mut other).await;
    assert_eq!(second.await.unwrap().text(), "alive");
    respond(&mut frames, 1, "first").await;
    assert_eq!(first.await.unwrap().text(), "first");
    let value = "v".repeat(40_000);
    let third = tokio::spawn(Request::post(sidekey.url("/api/x"), "body").header("x-large", &value).send());
    // The first connection is free again.
    let start = frames.until(Frame::HEADERS).await.unwrap();
    assert_eq!((start.flags & END_HEADERS, start.payload.len()), (0, 16 * 1024), "no frame is larger");
    assert_eq!(start.payload[0], 0x20, "the table is empty from now on");
    let mut block = start.payload;
    loop {
        let next = frames.next().await.unwrap();
        assert_eq!((next.kind, next.stream), (Frame::CONTINUATION, start.stream));
        block.extend_from_slice(&next.payload);
        if next.flags & END_HEADERS != 0 {
            break;
        }
    }
    assert!(block.windows(value.len()).any(|window| window == value.as_bytes()));
    respond(&mut frames, start.stream, "third").await;
    assert_eq!(third.await.unwrap().text(), "third");
}

/// The upstream reads nothing of the request until its response was read, and the sockets in between take little.
#[tokio::test]
async fn http2_upstream_that_reads_after_its_response_is_served() {
    const LENGTH: usize = 240 * 1024;
    let (server, sidekey) = FrameServer::with_small_buffers().await;
    let (mut response, mut request) = TcpStream::connect(sidekey.address()).await.unwrap().into_split();
    tokio::spawn(async move {
        let head = "POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108864\r\n\r\n";
        request.write_all(head.as_bytes()).await.unwrap();
        let content = vec![b'x'; 64 * 1024];
        // Until the response has ended the exchange.
        while request.write_all(&content).await.is_ok() {}
    });
    let mut frames = server.accept_request().await;
    // More than the sockets take.
    frames.send_bytes(&[settings(4, 64 << 20), window_update(0, 64 << 20)].concat()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        while bytes.len() < LENGTH {
            assert_ne!(response.read_buf(&mut bytes).await.unwrap(), 0, "{} bytes came", bytes.len());
        }
        bytes
    });
    let length = LENGTH.to_string();
    frames.send_bytes(&head(1, &[OK[0], ("content-length", &length)])).await.unwrap();
    for _ in 0..LENGTH / (16 * 1024) {
        frames.send_bytes(&data(1, &[b'y'; 16 * 1024])).await.unwrap();
    }
    let bytes = tokio::time::timeout(TIMEOUT, reading).await.expect("the response in time").unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
}
