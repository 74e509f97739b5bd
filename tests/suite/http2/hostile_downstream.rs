//! HTTP/2 callers that break the protocol, or use it to exhaust the proxy.

use h2::Reason;

use super::heads::head;
use crate::harness::flag::{END_HEADERS, END_STREAM, PADDED};
use crate::harness::{Frame, Frames, Gate, Http2, MockResponse, MockUpstream, fields, frame};
use crate::suite::http::setup::{RawServer, sidekey_for, sidekey_for_url, wait_until_idle};

/// The parts of a request that differ from those of a good one.
struct Parts<'a> {
    method: &'a str,
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
}

/// A good request to the service.
const GOOD: Parts<'static> = Parts { method: "GET", scheme: "http", authority: "localhost", path: "/api/x" };

impl Parts<'_> {
    fn block(&self) -> Vec<u8> {
        fields(&[
            (":method", self.method),
            (":scheme", self.scheme),
            (":authority", self.authority),
            (":path", self.path),
        ])
    }
}

/// Sends each head in a connection of its own. None may be answered or forwarded.
async fn assert_protocol_error(cases: impl IntoIterator<Item = (&str, Vec<u8>)>) {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (what, block) in cases {
        let mut frames = Frames::open(sidekey.address()).await;
        frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 1, &block).await.unwrap();
        assert_ends_with_protocol_error(&mut frames, what).await;
    }
    assert_eq!(upstream.request_count(), 0);
}

/// Reads until the stream or the connection ends with an error.
async fn assert_ends_with_protocol_error(frames: &mut Frames, what: &str) {
    loop {
        let frame = frames.next().await.unwrap_or_else(|| panic!("{what}: closed without an error"));
        match frame.kind {
            // No stream is opened after a malformed field block. The stream of the block is reset.
            Frame::GOAWAY if frame.reason() == Reason::NO_ERROR => {}
            Frame::RESET | Frame::GOAWAY => {
                break assert_eq!(frame.reason(), Reason::PROTOCOL_ERROR, "{what}");
            }
            Frame::HEADERS => panic!("{what}: it was answered"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn http2_malformed_fields_are_protocol_error() {
    assert_protocol_error([
        ("Transfer-Encoding", head("POST", &[("transfer-encoding", "chunked")])),
        ("Connection", head("GET", &[("connection", "x-one")])),
        ("Upgrade", head("GET", &[("upgrade", "websocket")])),
        ("Proxy-Connection", head("GET", &[("proxy-connection", "close")])),
        ("Keep-Alive", head("GET", &[("keep-alive", "timeout=5")])),
        ("TE", head("GET", &[("te", "gzip")])),
        ("TE with more than trailers", head("GET", &[("te", "trailers, gzip")])),
        ("upper case", head("GET", &[("X-Upper", "1")])),
        ("space in a name", head("GET", &[("x one", "1")])),
        ("space before a value", head("GET", &[("x-one", " 1")])),
        ("space behind a value", head("GET", &[("x-one", "1 ")])),
        ("tab behind a value", head("GET", &[("x-one", "1\t")])),
        ("a value of spaces", head("GET", &[("x-one", " ")])),
        ("line feed in a value", head("GET", &[("x-one", "1\r\nx-two: 2")])),
        ("zero in a value", head("GET", &[("x-one", "1\0")])),
        ("a length without a body", head("POST", &[("content-length", "5")])),
        ("a length that is none", head("POST", &[("content-length", "+0")])),
    ])
    .await;
}

#[tokio::test]
async fn http2_malformed_pseudo_fields_are_protocol_error() {
    let (method, scheme) = ((":method", "GET"), (":scheme", "http"));
    let (authority, path) = ((":authority", "localhost"), (":path", "/api/x"));
    assert_protocol_error([
        ("two methods", head("GET", &[(":method", "POST")])),
        ("two authorities", head("GET", &[(":authority", "other")])),
        ("two schemes", head("GET", &[(":scheme", "https")])),
        ("two paths", head("GET", &[(":path", "/other")])),
        ("no method", fields(&[scheme, path, authority])),
        ("no scheme", fields(&[method, path, authority])),
        ("no path", fields(&[method, scheme, authority])),
        ("no path, and Host in place of an authority", fields(&[method, scheme, ("host", "localhost")])),
        ("unknown pseudo field", head("GET", &[(":evil", "1")])),
        ("a response's", head("GET", &[(":status", "200")])),
        ("pseudo field after others", fields(&[method, ("x", "1"), path, scheme])),
        ("a protocol without CONNECT", head("GET", &[(":protocol", "websocket")])),
        (
            "a WebSocket that leads nowhere",
            fields(&[(":method", "CONNECT"), scheme, authority, (":protocol", "websocket")]),
        ),
        (
            "a WebSocket with two lengths",
            head("CONNECT", &[(":protocol", "websocket"), ("content-length", "5"), ("content-length", "5")]),
        ),
        ("two protocols", head("CONNECT", &[(":protocol", "websocket"), (":protocol", "websocket")])),
    ])
    .await;
}

#[tokio::test]
async fn http2_malformed_request_target_is_protocol_error() {
    let path = |path| Parts { path, ..GOOD }.block();
    let authority = |authority| Parts { authority, ..GOOD }.block();
    assert_protocol_error([
        ("a path without a slash", path("api/x")),
        ("a URL as the path", path("http://a/api/x")),
        ("an asterisk without OPTIONS", path("*")),
        ("an empty path", path("")),
        ("a path with a fragment", path("/api/x#y")),
        ("a path that is a fragment", path("#y")),
        ("line feed in the path", path("/api/x\r\nx: 1")),
        ("space in the path", path("/api/x HTTP/1.1")),
        ("a scheme of another protocol", Parts { scheme: "ftp", ..GOOD }.block()),
        ("the scheme of WebSocket", Parts { scheme: "ws", ..GOOD }.block()),
        ("a scheme with a host", Parts { scheme: "http://evil/x?", ..GOOD }.block()),
        ("an empty scheme", Parts { scheme: "", ..GOOD }.block()),
        ("a scheme with a line feed", Parts { scheme: "http\r\nx: 1", ..GOOD }.block()),
        ("two hosts", head("GET", &[("host", "localhost"), ("host", "localhost")])),
        ("user information in the authority", authority("user@sidekey")),
        ("line feed in the authority", authority("a\r\nx: 1")),
        ("line feed in the method", Parts { method: "GET / HTTP/1.1\r\n", ..GOOD }.block()),
    ])
    .await;
}

#[tokio::test]
async fn http2_body_with_wrong_length_is_never_completed() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (length, body) in [("5", &b"hello, world"[..]), ("50", b"hello")] {
        let mut frames = Frames::open(sidekey.address()).await;
        let block = head("POST", &[("content-length", length)]);
        frames.send(Frame::HEADERS, END_HEADERS, 1, &block).await.unwrap();
        frames.send(Frame::DATA, END_STREAM, 1, body).await.unwrap();
        let reset = frames.until(Frame::RESET).await.expect("a reset");
        assert_eq!(reset.reason(), Reason::PROTOCOL_ERROR);
    }
    wait_until_idle(&sidekey).await;
    assert!(upstream.requests().iter().all(|request| !request.complete));
}

#[tokio::test]
async fn http2_body_against_a_length_of_zero_is_not_forwarded() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for end in [0, END_STREAM] {
        let mut frames = Frames::open(sidekey.address()).await;
        let block = head("POST", &[("content-length", "0")]);
        frames.send(Frame::HEADERS, END_HEADERS, 1, &block).await.unwrap();
        frames.send(Frame::DATA, end, 1, b"hello").await.unwrap();
        assert_eq!(frames.until(Frame::RESET).await.expect("a reset").reason(), Reason::PROTOCOL_ERROR);
    }
    assert_eq!(upstream.request_count(), 0);
    // The end of the stream may come in a frame of its own.
    let mut caller = Http2::open(sidekey.address()).await;
    let mut request = crate::harness::post("/api/x");
    request.headers_mut().insert("content-length", "0".parse().unwrap());
    let mut stream = caller.begin(request).await;
    stream.send("", true).await;
    assert_eq!(stream.response().await.status, 200);
    assert_eq!(upstream.only_request().header("content-length"), Some("0"));
}

#[tokio::test]
async fn http2_malformed_trailers_are_not_forwarded() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (what, trailers) in [
        ("upper case", ("X-Upper", "1")),
        ("a path", (":path", "/api/other")),
        ("a method", (":method", "GET")),
        ("an authority", (":authority", "other")),
        ("a status", (":status", "200")),
        ("an unknown pseudo field", (":evil", "1")),
        ("Connection", ("connection", "close")),
        ("line feed in a value", ("x-one", "1\nx: 2")),
    ] {
        // With a length, and one of zero, the body is complete before they come.
        for (length, body) in [(None, &b"hello"[..]), (Some("5"), b"hello"), (Some("0"), b"")] {
            let mut frames = Frames::open(sidekey.address()).await;
            let length: Vec<_> = length.map(|length| ("content-length", length)).into_iter().collect();
            frames.send(Frame::HEADERS, END_HEADERS, 1, &head("POST", &length)).await.unwrap();
            frames.send(Frame::DATA, 0, 1, body).await.unwrap();
            frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 1, &fields(&[trailers])).await.unwrap();
            assert_ends_with_protocol_error(&mut frames, what).await;
        }
    }
    wait_until_idle(&sidekey).await;
    assert!(upstream.requests().iter().all(|request| !request.complete));
}

#[tokio::test]
async fn http2_body_with_length_and_a_late_end_is_forwarded() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for last in [
        (Frame::DATA, END_STREAM, Vec::new()),
        (Frame::HEADERS, END_STREAM | END_HEADERS, fields(&[("x", "1")])),
    ] {
        let mut frames = Frames::open(sidekey.address()).await;
        let block = head("POST", &[("content-length", "5")]);
        frames.send(Frame::HEADERS, END_HEADERS, 1, &block).await.unwrap();
        frames.send(Frame::DATA, 0, 1, b"hello").await.unwrap();
        frames.send(last.0, last.1, 1, &last.2).await.unwrap();
        frames.until(Frame::HEADERS).await.expect("a response");
        let seen = upstream.last_request();
        assert_eq!((seen.body.as_slice(), seen.complete), (&b"hello"[..], true));
    }
}

#[tokio::test]
async fn http2_fragment_behind_a_name_of_the_dynamic_table_is_found() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    // `:method: GET`, `:scheme: http`, and fields that are added: `:path: /api/x`, `:authority: localhost`.
    let first = b"\x82\x86\x44\x06/api/x\x41\x09localhost";
    frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 1, first).await.unwrap();
    frames.until(Frame::HEADERS).await.expect("a response");
    // The name of entry 63.
    let second = b"\x82\x86\xbe\x0f\x30\x08/api/x#y";
    frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 3, second).await.unwrap();
    assert_ends_with_protocol_error(&mut frames, "a fragment").await;
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn http2_pseudo_field_in_trailers_is_found_by_its_index() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    // `:method: POST`, `:scheme: http`, and fields that are added to the dynamic table: `:path`, `:authority`, `x`.
    let head = b"\x83\x86\x44\x06/api/x\x41\x09localhost\x40\x01x\x011";
    for (trailers, is_malformed) in [(&b"\xbf"[..], true), (b"\xc0\xbe", true), (b"\xbe", false)] {
        let mut frames = Frames::open(sidekey.address()).await;
        frames.send(Frame::HEADERS, END_HEADERS, 1, head).await.unwrap();
        frames.send(Frame::DATA, 0, 1, b"hello").await.unwrap();
        frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 1, trailers).await.unwrap();
        if is_malformed {
            assert_eq!(frames.until(Frame::RESET).await.expect("a reset").reason(), Reason::PROTOCOL_ERROR);
        } else {
            frames.until(Frame::HEADERS).await.expect("a response");
        }
    }
    wait_until_idle(&sidekey).await;
    assert_eq!(upstream.requests().iter().filter(|request| request.complete).count(), 1);
    assert_eq!(upstream.last_request().trailers.all("x"), ["1"]);
}

#[tokio::test]
async fn http2_malformed_request_does_not_concern_others_of_the_connection() {
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.always(MockResponse::ok("x").delayed_until(&gate));
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    let send = |stream, block: &[u8]| frame(Frame::HEADERS, END_STREAM | END_HEADERS, stream, block);
    frames.send_bytes(&send(1, &GOOD.block())).await.unwrap();
    upstream.received(1).await;
    // A `:path` that is added to the dynamic table, a request that has it from there, and a good one.
    let malformed = b"\x82\x86\x44\x08/api/x#y";
    frames
        .send_bytes(&[send(3, malformed), send(5, b"\x82\x86\xbe"), send(7, &GOOD.block())].concat())
        .await
        .unwrap();
    for stream in [3, 5] {
        let reset = frames.until(Frame::RESET).await.expect("a reset");
        assert_eq!((reset.stream, reset.reason()), (stream, Reason::PROTOCOL_ERROR));
    }
    upstream.received(2).await;
    gate.open();
    let mut answered = Vec::new();
    for _ in 0..2 {
        answered.push(frames.until(Frame::HEADERS).await.expect("a response").stream);
    }
    answered.sort_unstable();
    assert_eq!((answered, upstream.request_count()), (vec![1, 7], 2));
}

#[tokio::test]
async fn http2_trailer_in_credential_slot_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    frames.send(Frame::HEADERS, END_HEADERS, 1, &head("POST", &[])).await.unwrap();
    frames.send(Frame::DATA, 0, 1, b"hello").await.unwrap();
    let trailers = fields(&[("authorization", "Bearer evil")]);
    frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 1, &trailers).await.unwrap();
    frames.until(Frame::DATA).await.expect("an error response");
    wait_until_idle(&sidekey).await;
    assert!(upstream.requests().iter().all(|request| !request.complete && request.trailers.0.is_empty()));
    assert_eq!(sidekey.metric("sidekey_request_errors_total", &[("reason", "bad_request")]).await, Some(1.0));
}

#[tokio::test]
async fn http2_rapid_reset_ends_the_connection() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::never());
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    let block = head("GET", &[]);
    let burst: Vec<u8> = (0..5000_u32)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            let open = frame(Frame::HEADERS, END_STREAM | END_HEADERS, stream, &block);
            [open, frame(Frame::RESET, 0, stream, &8_u32.to_be_bytes())].concat()
        })
        .collect();
    let _ = frames.send_bytes(&burst).await;
    let goaway = frames.until(Frame::GOAWAY).await;
    // The GOAWAY may be lost in a reset of the connection, because unread bytes are left.
    assert!(goaway.is_none_or(|goaway| goaway.reason() == Reason::ENHANCE_YOUR_CALM));
    wait_until_idle(&sidekey).await;
    assert!(upstream.request_count() < 500, "{}", upstream.request_count());
}

#[tokio::test]
async fn http2_streams_beyond_the_limit_are_refused() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::never());
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    let block = head("GET", &[]);
    for number in 0..200 {
        frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, &block).await.unwrap();
    }
    for _ in 128..200 {
        assert_eq!(frames.until(Frame::RESET).await.expect("a reset").reason(), Reason::REFUSED_STREAM);
    }
    upstream.received(128).await;
    assert_eq!(upstream.request_count(), 128);
}

#[tokio::test]
async fn http2_endless_header_block_is_not_buffered() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    frames.send(Frame::HEADERS, END_STREAM, 1, &head("GET", &[])).await.unwrap();
    let piece = fields(&[("x-flood", &"x".repeat(4000))]);
    let mut sent = 0;
    while frames.send(Frame::CONTINUATION, 0, 1, &piece).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "40 MB of one header block were accepted");
    }
    assert_eq!(upstream.request_count(), 0);
    assert_eq!(Http2::open(sidekey.address()).await.get("/api/x").await.status, 200);
}

/// HPACK: a name that was sent once, and two bytes for each further field with it.
#[tokio::test]
async fn http2_block_of_references_to_a_large_name_ends_the_connection() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let name = [b"\x40\x7f\xbd\x1d".as_slice(), &[b'n'; 3900], b"\x00"].concat();
    let block = [head("GET", &[]), name, b"\x7e\x00".repeat(60_000)].concat();
    let mut frames = Frames::open(sidekey.address()).await;
    let mut pieces = block.chunks(16 * 1024).peekable();
    frames.send(Frame::HEADERS, END_STREAM, 1, pieces.next().unwrap()).await.unwrap();
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        frames.send(Frame::CONTINUATION, flags, 1, piece).await.unwrap();
    }
    let goaway = frames.until(Frame::GOAWAY).await.expect("the connection ends");
    assert_eq!(goaway.reason(), Reason::ENHANCE_YOUR_CALM);
    assert_eq!(upstream.request_count(), 0);
    assert_eq!(Http2::open(sidekey.address()).await.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn http2_oversized_request_head_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut request = crate::harness::get("/api/x");
    for number in 0..20 {
        request.headers_mut().insert(
            http::HeaderName::try_from(format!("x-{number}")).unwrap(),
            "x".repeat(4000).parse().unwrap(),
        );
    }
    let response = caller.call(request).await;
    assert!(response.status == 431 || response.reset.is_some(), "{response:?}");
    assert_eq!(caller.get("/api/x").await.status, 200);
    let mut request = crate::harness::get("/api/x");
    for number in 0..200 {
        let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
        request.headers_mut().insert(name, "x".parse().unwrap());
    }
    let response = caller.call(request).await;
    assert_eq!((response.status, response.header("sidekey-error")), (413, Some("too_large")));
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn http2_stalled_upload_is_400_after_idle_timeout() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), ", timeouts: { idle: 200ms }").await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stream = caller.begin(crate::harness::post("/api/x")).await;
    stream.send("some", false).await;
    let (_upstream, _) = server.accept_request().await;
    let response = stream.response().await;
    assert_eq!((response.status, response.header("sidekey-error")), (400, Some("bad_request")));
}

#[tokio::test]
async fn http2_caller_without_window_is_reset_after_idle_timeout() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::ok(vec![b'x'; 1 << 20]));
    let sidekey = sidekey_for_url(&upstream.url(), ", timeouts: { idle: 200ms }").await;
    let mut frames = Frames::open(sidekey.address()).await;
    frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 1, &head("GET", &[])).await.unwrap();
    assert_eq!(frames.until(Frame::RESET).await.expect("a reset").stream, 1);
    wait_until_idle(&sidekey).await;
}

/// The answers are read, so that nothing stops the caller but a limit.
#[tokio::test]
async fn http2_flood_of_frames_without_content_ends_the_connection() {
    const UNKNOWN: u8 = 0x42;
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::never());
    let sidekey = sidekey_for(&upstream).await;
    let floods = [
        frame(Frame::PING, 0, 0, &[7; 8]),
        frame(Frame::PING, 1, 0, &[7; 8]),
        frame(Frame::SETTINGS, 0, 0, b""),
        frame(Frame::PRIORITY, 0, 1, &[0, 0, 0, 0, 9]),
        frame(UNKNOWN, 0, 0, b"x"),
        frame(Frame::DATA, 0, 1, b""),
        frame(Frame::DATA, PADDED, 1, b"\x02\0\0"),
    ];
    for flood in floods {
        let mut frames = Frames::open(sidekey.address()).await;
        frames.send(Frame::HEADERS, END_HEADERS, 1, &head("POST", &[])).await.unwrap();
        // As many as a busy caller sends in a while.
        frames.send_bytes(&frame(Frame::PING, 0, 0, &[7; 8]).repeat(500)).await.unwrap();
        for _ in 0..500 {
            frames.until(Frame::PING).await.expect("an answer");
        }
        let _ = frames.send_bytes(&flood.repeat(50_000)).await;
        let goaway = frames.until(Frame::GOAWAY).await.expect("the connection ends");
        assert_eq!(goaway.reason(), Reason::ENHANCE_YOUR_CALM, "{}", flood.escape_ascii());
    }
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn http2_ping_and_settings_floods_do_not_block_others() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    let one = [frame(Frame::PING, 0, 0, &[7; 8]), frame(Frame::SETTINGS, 0, 0, b"")].concat();
    let burst = one.repeat(10_000);
    // The acknowledgements are not read: sooner or later the server stops reading, or closes.
    let flood = async { while frames.send_bytes(&burst).await.is_ok() {} };
    let other = async {
        let mut caller = Http2::open(sidekey.address()).await;
        for _ in 0..50 {
            assert_eq!(caller.get("/api/x").await.status, 200);
        }
    };
    tokio::select! { () = flood => {}, () = other => {} }
    assert_eq!(Http2::open(sidekey.address()).await.get("/api/x").await.status, 200);
}
