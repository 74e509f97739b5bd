//! Timeouts: every wait has a limit, and the error response names the kind of failure.

use std::time::Duration;

use tokio::net::TcpListener;

use super::setup::{RawServer, Wire, sidekey_for_url, wait_until_idle};
use crate::harness::{MockResponse, MockUpstream, Request, Response, TIMEOUT, assert_eventually};

fn assert_timed_out(response: &Response) {
    assert_eq!((response.status, response.sidekey_error()), (504, Some("upstream_timeout")));
}

#[tokio::test]
async fn first_byte_timeout_is_504() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", timeouts: { first_byte: 200ms }").await;
    upstream.always(MockResponse::never());
    assert_timed_out(&sidekey.get("/api/x").await);
    assert_timed_out(&Request::post(sidekey.url("/api/x"), "body").send().await);
    assert_eq!(upstream.request_count(), 2);
    assert_eventually(TIMEOUT, "its connections are closed", async || upstream.open_connections() == 0).await;
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn first_byte_timeout_is_not_extended_by_a_slow_head() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", timeouts: { first_byte: 300ms }").await;
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1000));
    upstream.next(MockResponse::raw(head).dribbled(1, Duration::from_millis(20)));
    assert_timed_out(&sidekey.get("/api/x").await);
}

#[tokio::test]
async fn first_byte_timeout_restarts_on_102() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), ", timeouts: { first_byte: 2s, idle: 10s }").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n").await;
    let (mut upstream, _) = server.accept_request().await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    client.send("hi").await;
    upstream.until("hi").await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(800)).await;
        upstream.send("HTTP/1.1 102 Processing\r\n\r\n").await;
    }
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert!(client.until("200 OK\r\nContent-Length: 0\r\n\r\n").await.starts_with("HTTP/1.1 102 "));
}

#[tokio::test]
async fn idle_timeout_cuts_a_stalled_response() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", timeouts: { idle: 200ms }").await;
    for answer in [
        MockResponse::raw("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234").then_hang(),
        MockResponse::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n1234").then_hang(),
    ] {
        upstream.next(answer);
        let response = sidekey.get("/api/x").await;
        assert_eq!((response.status, response.text().as_str(), response.complete), (200, "1234", false));
    }
    upstream.next(MockResponse::raw("HTTP/1.1 200 OK\r\n\r\n1234").then_hang());
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(client.rest().await.ends_with("\r\n4\r\n1234\r\n"));
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn idle_timeout_of_stalled_upload_is_400() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", timeouts: { idle: 200ms }").await;
    let mut client = sidekey.connect().await;
    client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345").await;
    let response = client.response().await;
    // The caller has stalled, not the upstream.
    assert_eq!((response.status, response.sidekey_error()), (400, Some("bad_request")));
    assert_eq!(response.header("connection"), Some("close"));
    assert_eventually(TIMEOUT, "its connection is closed", async || upstream.open_connections() == 0).await;
    assert!(!upstream.only_request().complete);
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn idle_timeout_of_upstream_that_does_not_read_is_504() {
    let server = RawServer::with_small_buffers();
    let sidekey = sidekey_for_url(&server.url(), ", timeouts: { idle: 500ms }").await;
    let mut client = sidekey.connect().await;
    let serving = async {
        let (wire, _) = server.accept_request().await;
        wire
    };
    let sending = async {
        client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 33554432\r\n\r\n").await;
        // More than all buffers on the way hold; the response may come before all of it is sent.
        let _ = client.try_send(vec![b'x'; 32 * 1024 * 1024]).await;
    };
    let (_wire, ()) = tokio::join!(serving, sending);
    assert_timed_out(&client.response().await);
}

#[tokio::test]
async fn idle_timeout_ignores_a_slow_but_steady_response() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", timeouts: { idle: 2s }").await;
    upstream.next(MockResponse::ok("123456789").dribbled(40, Duration::from_millis(400)));
    assert_eq!(sidekey.get("/api/x").await.text(), "123456789");
}

#[tokio::test]
async fn total_timeout_limits_the_whole_request() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", timeouts: { total: 1s }").await;
    upstream.next(MockResponse::never());
    assert_timed_out(&sidekey.get("/api/x").await);
    upstream.next(MockResponse::ok("x".repeat(1000)).dribbled(20, Duration::from_millis(40)));
    let response = sidekey.get("/api/x").await;
    // The timeout may come before the head or within the body.
    assert!(response.status == 504 || !response.complete);
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn connect_timeout_is_504() {
    // Accepts connections and never answers the handshake.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let sidekey = sidekey_for_url(&url, ", timeouts: { connect: 200ms }").await;
    assert_timed_out(&sidekey.get("/api/x").await);
    wait_until_idle(&sidekey).await;
}
