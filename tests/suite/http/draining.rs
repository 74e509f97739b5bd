//! Draining on SIGTERM: requests in flight are completed, new ones are not accepted, then the process exits.

use nix::sys::signal::Signal;

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url};
use crate::harness::{Connection, Gate, MockResponse, MockUpstream, Sidekey};

#[tokio::test]
async fn drain_completes_requests_in_flight() {
    let upstream = MockUpstream::plain().await;
    let mut sidekey = sidekey_for(&upstream).await;
    let gate = Gate::closed();
    upstream.next(MockResponse::ok("first half, second half").body_held_at(10, &gate));
    upstream.next(MockResponse::ok("late").delayed_until(&gate));
    let mut streaming = sidekey.connect().await;
    streaming.send("GET /api/1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(1).await;
    let mut waiting = sidekey.connect().await;
    waiting.send("GET /api/2 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(2).await;

    sidekey.signal(Signal::SIGTERM);
    sidekey.logged("draining").await;
    gate.open();
    let response = streaming.response().await;
    assert_eq!((response.text().as_str(), response.complete), ("first half, second half", true));
    let response = waiting.response().await;
    assert_eq!((response.text().as_str(), response.header("connection")), ("late", Some("close")));
    assert_eq!(sidekey.ended().await.code(), Some(0));
}

#[tokio::test]
async fn drain_completes_upload_in_flight() {
    let upstream = MockUpstream::plain().await;
    let mut sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello").await;
    upstream.received(1).await;
    sidekey.signal(Signal::SIGTERM);
    sidekey.logged("draining").await;
    client.send("world").await;
    assert_eq!(client.response().await.header("connection"), Some("close"));
    assert_eq!(upstream.only_request().text(), "helloworld");
    assert_eq!(sidekey.ended().await.code(), Some(0));
}

#[tokio::test]
async fn drain_closes_idle_connections_and_listener() {
    let upstream = MockUpstream::plain().await;
    let mut sidekey = sidekey_for(&upstream).await;
    let mut idle = sidekey.connect().await;
    idle.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    idle.response().await;
    let address = sidekey.address();
    assert_eq!(sidekey.terminate().await.code(), Some(0));
    assert_eq!(idle.rest().await, b"");
    assert!(Connection::try_open(address).await.is_err());
}

#[tokio::test]
async fn drain_timeout_cuts_endless_stream() {
    let server = RawServer::new().await;
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ format: json }}\nshutdown: {{ drain: 200ms }}\nservices:\n  \
         api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }}\n",
        server.url()
    );
    let mut sidekey = Sidekey::configured(&config).start().await;
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (mut upstream, _) = server.accept_request().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    client.until("data: 1\n\n").await;
    assert_eq!(sidekey.terminate().await.code(), Some(0));
    assert!(!client.rest().await.contains("0\r\n\r\n"));
}

#[tokio::test]
async fn drain_ends_on_second_signal() {
    let upstream = MockUpstream::plain().await;
    let mut sidekey = sidekey_for_url(&upstream.url(), "").await;
    upstream.next(MockResponse::never());
    let mut client = sidekey.connect().await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(1).await;
    sidekey.signal(Signal::SIGTERM);
    sidekey.logged("draining").await;
    sidekey.signal(Signal::SIGTERM);
    sidekey.ended().await;
}
