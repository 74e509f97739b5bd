//! HTTP/2 callers: requests, responses and errors as for HTTP/1.1 callers.

use bytes::Bytes;
use h2::Reason;
use http::{Request, StatusCode};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{
    Frame, Frames, Gate, Http2, MockResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually, fields, get,
    part, post, rest,
};
use crate::suite::http::setup::{RawServer, sidekey_for, sidekey_for_url, wait_until_idle};

#[tokio::test]
async fn http2_request_head_is_forwarded_with_credential() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let request = Request::put("http://localhost/api/v1/x?a=%20&b")
        .header("x-one", "1")
        .header("cookie", "a=1")
        .header("authorization", "Basic ZXZpbA==")
        .header("te", "trailers")
        .header("cookie", "b=2; c=3")
        .header("x-one", "")
        .header("x-latin", "caf\u{e9}")
        .body(());
    upstream.next(MockResponse::status(201).header("X-Answer", "Yes").body("made"));
    let response = caller.call(request.unwrap()).await;
    assert_eq!((response.status, response.text().as_str()), (201, "made"));
    assert_eq!((response.header("x-answer"), response.header("content-length")), (Some("Yes"), Some("4")));
    let head = String::from_utf8(upstream.only_request().raw_head).unwrap();
    let expected = format!(
        "PUT /v1/x?a=%20&b HTTP/1.1\r\nHost: {}\r\nx-one: 1\r\nx-one: \r\nx-latin: caf\u{e9}\r\ncookie: a=1; b=2; c=3\r\n\
         content-length: 0\r\nTE: trailers\r\nConnection: TE\r\nAuthorization: Bearer t0ken\r\n\r\n",
        upstream.address()
    );
    assert_eq!(head, expected);
}

#[tokio::test]
async fn http2_bodies_and_trailers_pass_both_ways() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let body = "0123456789abcdef".repeat(20_000);
    for (sized, chunk) in [(true, 0), (false, 1), (false, 7000), (false, 1 << 20)] {
        let mut request = post("/api/x");
        if sized {
            request.headers_mut().insert("content-length", body.len().into());
        }
        upstream.next(if chunk == 0 {
            MockResponse::ok(body.clone())
        } else {
            MockResponse::ok(body[..body.len() / (7000 / chunk.min(7000))].to_owned())
                .chunked(chunk)
                .trailer("X-Sum", "7")
                .header("Trailer", "X-Sum")
        });
        let mut stream = caller.begin(request).await;
        stream.send(body.clone(), sized).await;
        if !sized {
            stream
                .up
                .send_trailers([("x-check".parse().unwrap(), "9".parse().unwrap())].into_iter().collect())
                .unwrap();
        }
        let response = stream.response().await;
        assert_eq!((response.status, response.reset), (200, None));
        assert!(body.starts_with(&response.text()) && !response.body.is_empty());
        let seen = upstream.last_request();
        assert!(seen.complete && seen.text() == body);
        if sized {
            assert_eq!(seen.header("content-length"), Some("320000"));
            assert_eq!(seen.header("transfer-encoding"), None);
        } else {
            assert_eq!(seen.trailers.first("x-check"), Some("9"));
            assert_eq!(response.trailers.get("x-sum").unwrap(), "7");
            assert_eq!(response.header("trailer"), Some("X-Sum"));
        }
    }
    assert_eq!(upstream.connections(), 1, "the upstream's connection is kept");
}

#[tokio::test]
async fn http2_bodyless_and_interim_responses_pass() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    upstream.next(MockResponse::ok("12345"));
    let head = Request::head("http://localhost/api/x").body(()).unwrap();
    let response = caller.call(head).await;
    assert_eq!(
        (response.status, response.header("content-length"), response.body.len()),
        (200, Some("5"), 0)
    );
    for status in [204, 304, 404, 500, 299] {
        upstream.next(MockResponse::status(status).header("ETag", "\"e\""));
        let response = caller.get("/api/x").await;
        assert_eq!(
            (response.status, response.header("etag"), response.body.len()),
            (status, Some("\"e\""), 0)
        );
    }
    upstream.next(MockResponse::ok("late").after_informational("103 Early Hints\r\nLink: <a>"));
    let mut stream = caller.begin(get("/api/x")).await;
    stream.send(Bytes::new(), true).await;
    let interim = stream.interim().await;
    assert_eq!((interim.status().as_u16(), &interim.headers()["link"]), (103, &"<a>".parse().unwrap()));
    assert_eq!(stream.response().await.text(), "late");
    // A body that is ended by the close of the upstream's connection.
    upstream.next(MockResponse::ok("until closed").until_closed());
    let response = caller.get("/api/x").await;
    assert_eq!((response.text().as_str(), response.reset), ("until closed", None));
}

#[tokio::test]
async fn http2_concurrent_streams_get_their_own_responses() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| MockResponse::ok(format!("{}{}", request.target, request.text())));
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    // After the first response the limit of concurrent streams is known.
    assert_eq!(caller.get("/api/first").await.text(), "/first");
    let mut calls = JoinSet::new();
    for number in 0..300 {
        let mut stream = caller.begin(post(&format!("/api/{number}"))).await;
        calls.spawn(async move {
            stream.send(format!(" body {number}"), true).await;
            assert_eq!(stream.response().await.text(), format!("/{number} body {number}"));
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    assert_eq!(upstream.request_count(), 301);
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn http2_response_streams_while_request_is_open() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stream = caller.begin(post("/api/x")).await;
    let (mut upstream, _) = server.accept_request().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let (parts, mut answer) = stream.head().await.unwrap().into_parts();
    assert_eq!(parts.status, StatusCode::OK);
    for turn in ["one", "two", "six"] {
        stream.send(turn, false).await;
        assert_eq!(upstream.until(&format!("{turn}\r\n")).await, format!("3\r\n{turn}\r\n"));
        upstream.send(format!("3\r\n{turn}\r\n")).await;
        assert_eq!(part(&mut answer).await.unwrap(), turn);
    }
    stream.send(Bytes::new(), true).await;
    upstream.until("0\r\n\r\n").await;
    upstream.send("0\r\nx-status: 0\r\n\r\n").await;
    assert_eq!(part(&mut answer).await, None);
    assert_eq!(answer.trailers().await.unwrap().unwrap()["x-status"], "0");
}

#[tokio::test]
async fn http2_early_response_ends_upload_with_no_error() {
    let upstream = MockUpstream::plain().await;
    upstream.next(MockResponse::status(413).body("too much").early().close());
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stream = caller.begin(post("/api/x")).await;
    stream.send("some", false).await;
    let response = rest(stream.head().await.unwrap()).await;
    assert_eq!((response.status, response.text().as_str(), response.reset), (413, "too much", None));
    let reason = std::future::poll_fn(|cx| stream.up.poll_reset(cx)).await.unwrap();
    assert_eq!(reason, Reason::NO_ERROR);
    assert_eq!(caller.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn http2_late_small_body_is_read_without_reset() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (path, answer) in
        [("/api/x", Some(MockResponse::status(405).body("no").early().close())), ("/nope", None)]
    {
        if let Some(answer) = answer {
            upstream.next(answer);
        }
        let mut frames = Frames::open(sidekey.address()).await;
        let head = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", path),
            ("content-length", "4"),
        ];
        frames.send(Frame::HEADERS, 4, 1, &fields(&head)).await.unwrap();
        while frames.until(Frame::DATA).await.expect("an answer").flags & 1 == 0 {}
        frames.send(Frame::DATA, 1, 1, b"late").await.unwrap();
        frames.send(Frame::PING, 0, 0, b"whatever").await.unwrap();
        let frame = loop {
            let frame = frames.next().await.expect("an open connection");
            if matches!(frame.kind, Frame::PING | Frame::RESET | Frame::GOAWAY) {
                break frame;
            }
        };
        assert_eq!(frame.kind, Frame::PING, "{path}: {frame:?}");
    }
}

#[tokio::test]
async fn http2_error_response_is_a_problem_document() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let trace = Request::builder().method("TRACE").uri("http://localhost/api/x").body(()).unwrap();
    let tunnel = Request::connect("upstream:443").body(()).unwrap();
    let mut two_hosts = get("/api/x");
    two_hosts.headers_mut().insert("host", "other".parse().unwrap());
    for (request, status, reason) in [
        (get("/nope"), 404, "unknown_service"),
        (trace, 403, "forbidden"),
        (tunnel, 400, "bad_request"),
        (two_hosts, 400, "bad_request"),
    ] {
        let response = caller.call(request).await;
        assert_eq!((response.status, response.header("sidekey-error")), (status, Some(reason)));
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert!(response.text().contains(reason) && response.header("connection").is_none());
        assert!(sidekey.metric("sidekey_request_errors_total", &[("reason", reason)]).await.unwrap() > 0.0);
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn http2_grpc_error_has_grpc_status() {
    let sidekey = sidekey_for_url("http://127.0.0.1:1", "").await;
    let mut caller = Http2::open(sidekey.address()).await;
    for (path, status, reason) in [("/nope", "12", "unknown_service"), ("/api/S/M", "14", "upstream_connect")]
    {
        let mut request = post(path);
        request.headers_mut().insert("content-type", "application/grpc+proto".parse().unwrap());
        let response = caller.call(request).await;
        assert_eq!((response.status, response.header("grpc-status")), (200, Some(status)));
        assert_eq!(response.header("sidekey-error"), Some(reason));
        assert_eq!(response.header("grpc-message"), Some(format!("sidekey: {reason}").as_str()));
        assert_eq!((response.body.len(), response.header("content-length")), (0, None));
    }
}

#[tokio::test]
async fn http2_cancelled_stream_aborts_only_its_upstream_request() {
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.next(MockResponse::never());
    upstream.next(MockResponse::ok("other").delayed_until(&gate));
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut cancelled = caller.begin(get("/api/cancelled")).await;
    cancelled.send(Bytes::new(), true).await;
    upstream.received(1).await;
    let mut other = caller.begin(get("/api/other")).await;
    other.send(Bytes::new(), true).await;
    upstream.received(2).await;
    cancelled.up.send_reset(Reason::CANCEL);
    assert_eventually(std::time::Duration::from_secs(20), "the upstream sees the disconnect", async || {
        upstream.requests()[0].abandoned
    })
    .await;
    gate.open();
    assert_eq!(other.response().await.text(), "other");
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn http2_truncated_upstream_response_resets_stream() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    for answer in [
        MockResponse::ok("0123456789").cut_at(5),
        MockResponse::ok("0123456789").chunked(4).cut_at(8),
        MockResponse::ok("0123456789").cut_at(5).then_reset(),
    ] {
        upstream.next(answer);
        let response = caller.get("/api/x").await;
        assert_eq!((response.status, response.reset), (200, Some(Reason::INTERNAL_ERROR)));
    }
    assert_eq!(caller.get("/api/x").await.text(), "ok");
}

#[tokio::test]
async fn http2_stream_that_is_not_read_does_not_block_others() {
    let server = RawServer::with_small_buffers();
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(16 * 1024).initial_connection_window_size(1 << 20);
    let mut caller = Http2::open_with(sidekey.address(), &builder).await;
    let mut slow = caller.begin(get("/api/slow")).await;
    slow.send(Bytes::new(), true).await;
    let (mut upstream, _) = server.accept_request().await;
    let size = 64 << 20;
    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")).await;
    let mut body = slow.head().await.unwrap().into_body();
    // Far more than all buffers on the way hold, so it cannot be sent.
    let flood = async { upstream.send(vec![b'x'; size]).await };
    tokio::pin!(flood);
    let other = async {
        let mut fast = caller.begin(get("/api/fast")).await;
        fast.send(Bytes::new(), true).await;
        let (mut upstream, _) = server.accept_request().await;
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(fast.response().await.text(), "ok");
    };
    tokio::select! {
        () = &mut flood => panic!("64 MiB were read for a caller that reads nothing"),
        () = other => {}
    }
    let mut seen = 0;
    let read = async {
        while let Some(part) = part(&mut body).await {
            seen += part.len();
        }
    };
    tokio::join!(flood, read);
    assert_eq!(seen, size);
}

#[tokio::test]
async fn http2_drain_sends_goaway_and_completes_streams() {
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.next(MockResponse::ok("first half, second half").body_held_at(10, &gate));
    let mut sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    let head = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/api/x")];
    frames.send(Frame::HEADERS, 5, 1, &fields(&head)).await.unwrap();
    frames.until(Frame::DATA).await.unwrap();
    let idle = Http2::open(sidekey.address()).await;
    sidekey.signal(Signal::SIGTERM);
    let goaway = frames.until(Frame::GOAWAY).await.expect("GOAWAY");
    assert_eq!(goaway.reason(), Reason::NO_ERROR);
    gate.open();
    assert_eq!(frames.until(Frame::DATA).await.expect("the rest").payload, b", second half");
    assert_eq!(sidekey.ended().await.code(), Some(0));
    idle.driver.await.unwrap().unwrap();
}

/// What a caller still sends must not turn the end of its connection into a reset, which can discard the last frames.
#[tokio::test]
async fn http2_drain_ends_a_connection_that_is_still_sending() {
    let upstream = MockUpstream::plain().await;
    let mut sidekey = sidekey_for(&upstream).await;
    let mut stream = TcpStream::connect(sidekey.address()).await.unwrap();
    let settings = crate::harness::frame(Frame::SETTINGS, 0, 0, b"");
    stream.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat()).await.unwrap();
    let mut received = vec![0; 9];
    stream.read_exact(&mut received).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let pings = tokio::spawn(async move {
        let ping = crate::harness::frame(Frame::PING, 1, 0, b"12345678");
        while writing.write_all(&ping).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    sidekey.signal(Signal::SIGTERM);
    let read =
        tokio::time::timeout(TIMEOUT, reading.read_to_end(&mut received)).await.expect("the end in time");
    pings.abort();
    read.expect("no reset");
    let goaway = |frame: &[u8]| frame[3] == Frame::GOAWAY && frame[13..17] == [0; 4];
    assert!(received.windows(17).any(goaway), "{}", received.escape_ascii());
    assert_eq!(sidekey.ended().await.code(), Some(0));
}

#[tokio::test]
async fn http2_preface_is_detected_in_pieces_of_any_size() {
    let upstream = MockUpstream::plain().await;
    let sidekey: Sidekey = sidekey_for(&upstream).await;
    let head = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/api/x")];
    let all = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        crate::harness::frame(Frame::SETTINGS, 0, 0, b""),
        crate::harness::frame(Frame::HEADERS, 5, 1, &fields(&head)),
    ]
    .concat();
    for size in [1, 10, 18, 20, all.len()] {
        let mut frames = Frames::bare(sidekey.address()).await;
        for piece in all.chunks(size) {
            frames.send_bytes(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(frames.until(Frame::DATA).await.expect("an answer").payload, b"ok");
    }
    // After the first request a preface is not a valid request.
    let mut client = sidekey.connect().await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(client.response().await.status, 200);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(client.response().await.status, 400);
}
