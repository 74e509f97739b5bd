//! HTTP/2 upstreams: selection by `protocol` and ALPN, and callers of either version.

use bytes::Bytes;
use h2::Reason;
use h2::client::Builder;
use tokio::task::JoinSet;

use super::frame_server::{FrameServer, call, respond};
use crate::harness::flag::END_HEADERS;
use crate::harness::{
    Frame, Http2, MockHttp2Upstream, MockResponse, MockUpstream, Pki, Request, Sidekey, assert_eventually,
    fields, get, part, post,
};
use crate::suite::http::setup::{said, sidekey_for_url, sidekey_with_one_worker, wait_until_idle};

const HTTP2: &str = ", protocol: http2";

/// A Sidekey with one service, `api`, whose HTTPS upstream has a certificate of `pki`.
async fn sidekey_for_tls(pki: &Pki, url: &str, more: &str) -> Sidekey {
    sidekey_with_one_worker(url, &format!(", tls: {{ ca_file: '{}' }}{more}", pki.ca_file())).await
}

#[tokio::test]
async fn http2_upstream_gets_the_same_request_from_both_versions() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&format!("{}/base", upstream.url()), HTTP2).await;
    let authority = upstream.address().to_string();
    let call = Request::new("PATCH", sidekey.url("/api/x?y=%20&z"))
        .header("X-One", "1")
        .header("Cookie", "a=1")
        .header("Connection", "x-hop")
        .header("X-Hop", "2")
        .header("TE", "trailers")
        .header("Authorization", "Basic ZXZpbA==")
        .body("hello");
    assert_eq!(call.send().await.text(), "ok");
    let mut caller = Http2::open(sidekey.address()).await;
    let request = http::Request::patch("http://localhost/api/x?y=%20&z")
        .header("x-one", "1")
        .header("cookie", "a=1")
        .header("te", "trailers")
        .header("authorization", "Basic ZXZpbA==")
        .header("content-length", "5");
    let mut stream = caller.begin(request.body(()).unwrap()).await;
    stream.send("hello", true).await;
    assert_eq!(stream.response().await.text(), "ok");
    let seen = upstream.requests();
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert_eq!(request.method, "PATCH");
        assert_eq!(request.uri.to_string(), format!("http://{authority}/base/x?y=%20&z"));
        let mut fields: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                ("authorization", "Bearer t0ken"),
                ("content-length", "5"),
                ("cookie", "a=1"),
                ("te", "trailers"),
                ("x-one", "1")
            ]
        );
        assert_eq!((request.body.as_slice(), request.complete), (&b"hello"[..], true));
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn http2_upstream_bodies_and_trailers_pass_both_ways() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), HTTP2).await;
    let body = "0123456789abcdef".repeat(40_000);
    for chunk in [1000, 100_000] {
        let call =
            Request::post(sidekey.url("/api/echo"), body.clone()).chunked(chunk).trailer("X-Check", "9");
        let response = call.send().await;
        assert!(response.complete && response.text() == body);
        assert_eq!(response.trailers.first("x-check"), Some("9"));
        assert_eq!((response.header("x-echo"), response.header("content-length")), (Some("1"), None));
    }
    let response = Request::post(sidekey.url("/api/echo"), body.clone()).send().await;
    assert!(response.complete && response.text() == body);
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stream = caller.begin(post("/api/echo")).await;
    let mut answer = stream.head().await.unwrap().into_body();
    let mut seen = Vec::new();
    let sending = async {
        stream.send(body.clone(), false).await;
        let trailers = [("x-check".parse().unwrap(), "9".parse().unwrap())];
        stream.up.send_trailers(trailers.into_iter().collect()).unwrap();
    };
    let reading = async {
        while let Some(part) = part(&mut answer).await {
            seen.extend_from_slice(&part);
        }
    };
    tokio::join!(sending, reading);
    assert!(seen == body.as_bytes());
    assert_eq!(answer.trailers().await.unwrap().unwrap()["x-check"], "9");
    // Content-Length and trailers together.
    let response = Request::get(sidekey.url("/api/sized-trailers")).send().await;
    assert_eq!((response.text().as_str(), response.trailers.first("x-sum")), ("ok", Some("7")));
    let response = caller.get("/api/sized-trailers").await;
    assert_eq!((response.text().as_str(), &response.trailers["x-sum"]), ("ok", &"7".parse().unwrap()));
}

#[tokio::test]
async fn http2_upstream_bodyless_and_interim_responses_pass() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), HTTP2).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut plain = sidekey.connect().await;
    for status in [200, 204, 304, 404, 599] {
        plain.send(format!("GET /api/status/{status} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let response = plain.response().await;
        assert_eq!(
            (response.status, response.header("etag"), response.body.len()),
            (status, Some("\"e\""), 0)
        );
        let response = caller.get(&format!("/api/status/{status}")).await;
        assert_eq!(
            (response.status, response.header("etag"), response.body.len()),
            (status, Some("\"e\""), 0)
        );
        assert_eq!(response.header("content-length"), None);
    }
    plain.send("HEAD /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let response = plain.response_to("HEAD").await.unwrap();
    assert_eq!((response.status, response.header("content-length")), (200, Some("2")));
    plain.send("GET /api/hints HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let response = plain.response().await;
    assert_eq!((response.text().as_str(), response.informational.len()), ("late", 1));
    assert_eq!(response.informational[0].1.first("link"), Some("<a>"));
    let mut stream = caller.begin(get("/api/hints")).await;
    stream.send(Bytes::new(), true).await;
    assert_eq!(stream.interim().await.status(), 103);
    assert_eq!(stream.response().await.text(), "late");
}

#[tokio::test]
async fn http2_upstream_trailers_only_response_stays_one() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), HTTP2).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stream = caller.begin(post("/api/trailers-only")).await;
    stream.send("call", true).await;
    let head = stream.head().await.unwrap();
    assert!(head.body().is_end_stream(), "one frame, which is what gRPC calls Trailers-Only");
    assert_eq!(head.headers()["grpc-status"], "5");
    assert!(head.headers().get("content-length").is_none());
}

#[tokio::test]
async fn http2_upstream_is_used_for_http2_callers_if_alpn_agrees() {
    let pki = Pki::new();
    let both = MockHttp2Upstream::tls(&pki, &["h2", "http/1.1"]).await;
    let sidekey = sidekey_for_tls(&pki, &both.url(), "").await;
    let mut caller = Http2::open(sidekey.address()).await;
    for _ in 0..3 {
        assert_eq!(caller.get("/api/x").await.text(), "ok");
    }
    assert_eq!((both.requests().len(), both.connections()), (3, 1));
    assert_eq!(both.last_request().uri.scheme_str(), Some("https"));
    // The server offers HTTP/1.1 by ALPN but speaks only HTTP/2: an HTTP/1.1 caller's request must not use
    // HTTP/2.
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_protocol"));

    let old = MockUpstream::tls(&pki).await;
    let sidekey = sidekey_for_tls(&pki, &old.url(), "").await;
    let mut caller = Http2::open(sidekey.address()).await;
    for _ in 0..3 {
        assert_eq!(caller.get("/api/x").await.text(), "ok");
    }
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
    assert_eq!((old.request_count(), old.connections()), (4, 1), "one pool for callers of both versions");
    let plain = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&plain.url(), "").await;
    assert_eq!(Http2::open(sidekey.address()).await.get("/api/x").await.text(), "ok");
}

#[tokio::test]
async fn http2_upstream_protocol_key_overrides_alpn() {
    let pki = Pki::new();
    let both = MockHttp2Upstream::tls(&pki, &["h2", "http/1.1"]).await;
    let sidekey = sidekey_for_tls(&pki, &both.url(), HTTP2).await;
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
    assert_eq!(both.requests().len(), 1);
    let old = MockUpstream::tls(&pki).await;
    let sidekey = sidekey_for_tls(&pki, &old.url(), HTTP2).await;
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_protocol"));
    said(&sidekey, "does not negotiate HTTP/2").await;
    let sidekey = sidekey_for_tls(&pki, &old.url(), ", protocol: http1").await;
    assert_eq!(Http2::open(sidekey.address()).await.get("/api/x").await.text(), "ok");
}

#[tokio::test]
async fn http2_upstream_websocket_needs_http1() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::switch_to_echo("websocket"));
    let switch =
        "GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let sidekey = sidekey_for_url(&upstream.url(), "").await;
    let mut client = sidekey.connect().await;
    client.send(switch).await;
    assert_eq!(client.head().await.0, 101);
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), HTTP2).await;
    let mut client = sidekey.connect().await;
    client.send(switch).await;
    let response = client.response().await;
    assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")));
    said(&sidekey, "a WebSocket needs HTTP/1.1").await;
}

#[tokio::test]
async fn http2_upstream_connections_respect_max_streams() {
    let upstream = MockHttp2Upstream::with_max_streams(10).await;
    let sidekey =
        sidekey_with_one_worker(&upstream.url(), &format!("{HTTP2}, timeouts: {{ first_byte: 60s }}")).await;
    let mut caller = Http2::open(sidekey.address()).await;
    // After the first response the upstream's settings are known.
    assert_eq!(caller.get("/api/first").await.text(), "ok");
    let mut held = Vec::new();
    for _ in 0..35 {
        let mut stream = caller.begin(get("/api/hang")).await;
        stream.send(Bytes::new(), true).await;
        held.push(stream);
    }
    upstream.received(36).await;
    let connections = upstream.connections();
    assert!((4..=8).contains(&connections), "{connections} connections for 35 requests, 10 on each");
    for mut stream in held {
        stream.up.send_reset(Reason::CANCEL);
    }
    wait_until_idle(&sidekey).await;
    let mut calls = JoinSet::new();
    for number in 0..35 {
        let url = sidekey.url(&format!("/api/{number}"));
        calls.spawn(async move { assert_eq!(Request::get(url).send().await.text(), "ok") });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn http2_upstream_stream_is_cancelled_on_disconnect() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), HTTP2).await;
    let mut leaving = sidekey.connect().await;
    leaving.send("GET /api/hang HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut cancelled = caller.begin(get("/api/hang")).await;
    cancelled.send(Bytes::new(), true).await;
    upstream.received(2).await;
    drop(leaving);
    cancelled.up.send_reset(Reason::CANCEL);
    assert_eventually(std::time::Duration::from_secs(20), "the upstream sees the cancellation", async || {
        upstream.requests().iter().all(|request| request.reset == Some(Reason::CANCEL))
    })
    .await;
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn http2_upstream_early_response_ends_the_upload() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_with_one_worker(&upstream.url(), HTTP2).await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stream = caller.begin(post("/api/early")).await;
    stream.send("some", false).await;
    let response = stream.response().await;
    assert_eq!((response.text().as_str(), response.reset), ("early", None));
    let mut client = sidekey.connect().await;
    client.send("POST /api/early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nsome").await;
    assert_eq!(client.response().await.text(), "early");
}

/// What they leave unread is a matter of their streams, and not of the connection that all callers share.
#[tokio::test]
async fn http2_upstream_connection_is_free_while_callers_read_nothing() {
    const CALLERS: usize = 6;
    let (server, sidekey) = FrameServer::behind_sidekey("").await;
    let mut stalled = Vec::new();
    for _ in 0..CALLERS {
        let mut caller = Http2::open_with(sidekey.address(), Builder::new().initial_window_size(0)).await;
        stalled.push((caller.begin(get("/api/x")).await, caller));
    }
    for (stream, _) in &mut stalled {
        stream.up.send_data(Bytes::new(), true).unwrap();
    }
    let mut upstream = server.accept().await;
    for _ in 0..CALLERS {
        let stream = upstream.until(Frame::HEADERS).await.expect("a request").stream;
        upstream.send(Frame::HEADERS, END_HEADERS, stream, &fields(&[(":status", "200")])).await.unwrap();
        // The window of a stream.
        for _ in 0..16 {
            upstream.send(Frame::DATA, 0, stream, &[0; 16 * 1024]).await.unwrap();
        }
    }
    let calling = call(&sidekey);
    let stream = upstream.until(Frame::HEADERS).await.expect("a request on the same connection").stream;
    respond(&mut upstream, stream, "alive").await;
    assert_eq!(calling.await.unwrap().text(), "alive");
}
