//! Faults of HTTP/2 upstreams: refused streams, GOAWAY, stalls, malformed frames, dead connections.

use h2::Reason;
use tokio::net::TcpListener;

use super::frame_server::{FrameServer, call, respond};
use crate::harness::flag::{END_HEADERS, END_STREAM};
use crate::harness::{Frame, Http2, MockHttp2Upstream, Request, fields, post};
use crate::suite::http::setup::{sidekey_for_url, sidekey_with_one_worker, wait_until_idle};

#[tokio::test]
async fn unprocessed_http2_request_is_retried() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let first = call(&sidekey);
    let mut frames = server.accept_request().await;
    respond(&mut frames, 1, "one").await;
    assert_eq!(first.await.unwrap().text(), "one");
    // Refused stream: a retry on the same connection.
    let second = call(&sidekey);
    assert_eq!(frames.until(Frame::HEADERS).await.unwrap().stream, 3);
    let refused = u32::from(Reason::REFUSED_STREAM).to_be_bytes();
    frames.send(Frame::RESET, 0, 3, &refused).await.unwrap();
    assert_eq!(frames.until(Frame::HEADERS).await.unwrap().stream, 5);
    respond(&mut frames, 5, "two").await;
    assert_eq!(second.await.unwrap().text(), "two");
    // GOAWAY before it was processed: a retry on a new connection. The streams before it are completed.
    let third = call(&sidekey);
    assert_eq!(frames.until(Frame::HEADERS).await.unwrap().stream, 7);
    frames.send(Frame::GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0]).await.unwrap();
    let mut next = server.accept_request().await;
    respond(&mut next, 1, "three").await;
    assert_eq!(third.await.unwrap().text(), "three");
}

#[tokio::test]
async fn goaway_completes_open_streams_and_gets_no_new_ones() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let first = call(&sidekey);
    let mut frames = server.accept_request().await;
    frames.send(Frame::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).await.unwrap();
    frames.send(Frame::PING, 0, 0, b"sync ...").await.unwrap();
    frames.until(Frame::PING).await.expect("the pong: GOAWAY is read");
    let second = call(&sidekey);
    let mut other = server.accept_request().await;
    respond(&mut other, 1, "second").await;
    assert_eq!(second.await.unwrap().text(), "second");
    respond(&mut frames, 1, "first").await;
    assert_eq!(first.await.unwrap().text(), "first");
    assert_eq!(frames.until(Frame::HEADERS).await, None, "closed after its last stream");
}

#[tokio::test]
async fn http2_request_reset_with_other_codes_is_not_retried() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), ", protocol: http2").await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    for code in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::ENHANCE_YOUR_CALM] {
        let path = format!("/api/reset/{}", u32::from(code));
        let response = Request::post(sidekey.url(&path), "body").send().await;
        assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")));
    }
    assert_eq!((upstream.requests().len(), upstream.connections()), (4, 1));
}

#[tokio::test]
async fn http2_response_reset_maps_error_code_to_caller() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), ", protocol: http2").await;
    let mut caller = Http2::open(sidekey.address()).await;
    for (said, told) in [
        (Reason::CANCEL, Reason::CANCEL),
        (Reason::ENHANCE_YOUR_CALM, Reason::ENHANCE_YOUR_CALM),
        (Reason::INTERNAL_ERROR, Reason::INTERNAL_ERROR),
        (Reason::NO_ERROR, Reason::CANCEL),
        (Reason::PROTOCOL_ERROR, Reason::INTERNAL_ERROR),
    ] {
        let response = caller.get(&format!("/api/half/{}", u32::from(said))).await;
        assert_eq!((response.status, response.text().as_str(), response.reset), (200, "half", Some(told)));
    }
    let mut client = sidekey.connect().await;
    client.send("GET /api/half/8 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.text().as_str(), response.complete), ("half", false));
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
}

#[tokio::test]
async fn unresponsive_http2_connection_is_replaced() {
    let assert_replaced = async |limit: &str| {
        let (server, sidekey) = FrameServer::behind_sidekey(&format!(", timeouts: {{ {limit}: 1s }}")).await;
        let first = call(&sidekey);
        let mut frames = server.accept_request().await;
        assert_eq!(first.await.unwrap().sidekey_error(), Some("upstream_timeout"));
        assert_eq!(frames.until(Frame::PING).await.expect("a PING probes the connection").flags, 0);
        // No acknowledgement: the next request uses another connection at once.
        let second = call(&sidekey);
        let mut other = server.accept_request().await;
        respond(&mut other, 1, "alive").await;
        assert_eq!(second.await.unwrap().text(), "alive", "{limit}");
        assert_eq!(frames.until(Frame::HEADERS).await, None, "closed");
    };
    tokio::join!(assert_replaced("first_byte"), assert_replaced("total"));
}

#[tokio::test]
async fn http2_connection_that_acknowledges_ping_is_kept() {
    let (server, sidekey) = FrameServer::behind_sidekey(", timeouts: { first_byte: 1s }").await;
    let first = call(&sidekey);
    let mut frames = server.accept_request().await;
    assert_eq!(first.await.unwrap().sidekey_error(), Some("upstream_timeout"));
    let ping = frames.until(Frame::PING).await.expect("a ping");
    frames.send(Frame::PING, 1, 0, &ping.payload).await.unwrap();
    // This PING is acknowledged after Sidekey has read the first acknowledgement.
    frames.send(Frame::PING, 0, 0, b"sync ...").await.unwrap();
    frames.until(Frame::PING).await.unwrap();
    let second = call(&sidekey);
    assert_eq!(frames.until(Frame::HEADERS).await.expect("the same connection").stream, 3);
    respond(&mut frames, 3, "again").await;
    assert_eq!(second.await.unwrap().text(), "again");
}

#[tokio::test]
async fn http2_upstream_without_window_is_504_after_idle_timeout() {
    let (server, sidekey) = FrameServer::behind_sidekey(", timeouts: { idle: 500ms }").await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stuck = caller.begin(post("/api/x")).await;
    // The windows of the stream and of the connection are 64 KiB each.
    let flood = tokio::spawn(async move {
        for _ in 0..200 {
            stuck.up.reserve_capacity(16 * 1024);
            match std::future::poll_fn(|cx| stuck.up.poll_capacity(cx)).await {
                Some(Ok(room)) => stuck.up.send_data(vec![0; room].into(), false).unwrap(),
                _ => break,
            }
        }
        stuck.response().await
    });
    let mut frames = server.accept_request().await;
    let response = flood.await.unwrap();
    assert_eq!((response.status, response.header("sidekey-error")), (504, Some("upstream_timeout")));
    assert_eq!(frames.until(Frame::RESET).await.expect("a reset").reason(), Reason::CANCEL);
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn malformed_http2_response_is_upstream_protocol() {
    for (what, block) in [
        ("Connection", fields(&[(":status", "200"), ("connection", "close")])),
        ("Transfer-Encoding", fields(&[(":status", "200"), ("transfer-encoding", "chunked")])),
        ("upper case", fields(&[(":status", "200"), ("X-A", "1")])),
        ("line feed", fields(&[(":status", "200"), ("x-a", "1\r\nset-cookie: evil=1")])),
        ("no status", fields(&[("x-a", "1")])),
        ("a status that is none", fields(&[(":status", "20")])),
        ("switching protocols", fields(&[(":status", "101")])),
        ("HPACK", vec![0xff, 0xff, 0xff, 0xff, 0xff]),
    ] {
        let (server, sidekey) = FrameServer::behind_sidekey(", timeouts: { first_byte: 5s }").await;
        let calling = call(&sidekey);
        let mut frames = server.accept_request().await;
        frames.send(Frame::HEADERS, END_HEADERS | END_STREAM, 1, &block).await.unwrap();
        let response = calling.await.unwrap();
        assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")), "{what}");
    }
}

#[tokio::test]
async fn http2_response_with_wrong_length_is_cut() {
    for body in ["short", "longer than it says"] {
        let (server, sidekey) = FrameServer::behind_sidekey("").await;
        let calling = call(&sidekey);
        let mut frames = server.accept_request().await;
        let block = fields(&[(":status", "200"), ("content-length", "10")]);
        frames.send(Frame::HEADERS, END_HEADERS, 1, &block).await.unwrap();
        frames.send(Frame::DATA, END_STREAM, 1, body.as_bytes()).await.unwrap();
        let response = calling.await.unwrap();
        assert!(!response.complete || response.status == 502, "{response:?}");
    }
}

#[tokio::test]
async fn http2_upstream_that_speaks_http1_is_upstream_protocol() {
    for says in ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sidekey = sidekey_for_url(&url, ", protocol: http2").await;
        let calling = call(&sidekey);
        let (stream, _) = listener.accept().await.unwrap();
        let mut wire = crate::suite::http::setup::Wire::new(stream);
        wire.until("SM\r\n\r\n").await;
        wire.send(says).await;
        drop(wire);
        let response = calling.await.unwrap();
        assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")), "{says:?}");
    }
}

#[tokio::test]
async fn http2_response_content_against_a_length_of_zero_is_502() {
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let first = call(&sidekey);
    let mut frames = server.accept_request().await;
    let head = fields(&[(":status", "200"), ("content-length", "0")]);
    frames.send(Frame::HEADERS, END_HEADERS, 1, &head).await.unwrap();
    frames.send(Frame::DATA, END_STREAM, 1, b"smuggled").await.unwrap();
    let response = first.await.unwrap();
    assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")));
    // The end of the stream may come in a frame of its own.
    let second = call(&sidekey);
    frames.until(Frame::HEADERS).await.unwrap();
    frames.send(Frame::HEADERS, END_HEADERS, 3, &head).await.unwrap();
    frames.send(Frame::DATA, END_STREAM, 3, b"").await.unwrap();
    let response = second.await.unwrap();
    assert_eq!((response.status, response.header("content-length")), (200, Some("0")));
}
