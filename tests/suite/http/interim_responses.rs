//! Interim responses (1xx) have an end: by number, by size and by time.

use std::time::Duration;

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url, wait_until_idle};
use crate::harness::{Http2, MockHttp2Upstream, MockResponse, MockUpstream, get};

const GET: &str = "GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn endless_interim_responses_are_502() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for line in ["103 Early Hints\r\nLink: </a>", "102 Processing", "100 Continue", "199 Whatever"] {
        upstream.next(MockResponse::raw(format!("HTTP/1.1 {line}\r\n\r\n").repeat(5000)));
        let response = sidekey.get("/api/x").await;
        assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")), "{line}");
        assert_eq!(response.informational.len(), 100);
    }
    wait_until_idle(&sidekey).await;
    // As many as a page may have.
    upstream.next(MockResponse::raw(format!(
        "{}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)
    )));
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn endless_interim_responses_of_http2_are_502() {
    let upstream = MockHttp2Upstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", protocol: http2").await;
    let response = sidekey.get("/api/hints/1000").await;
    assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")));
    let mut caller = Http2::open(sidekey.address()).await;
    let response = caller.call(get("/api/hints/1000")).await;
    assert_eq!((response.status, response.header("sidekey-error")), (502, Some("upstream_protocol")));
    assert_eq!(caller.get("/api/hints/100").await.text(), "late");
}

#[tokio::test]
async fn slow_interim_responses_do_not_extend_first_byte() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), ", timeouts: { first_byte: 600ms }").await;
    let mut client = Wire::to(&sidekey).await;
    client.send(GET).await;
    let (mut upstream, _) = server.accept_request().await;
    let hints = async {
        loop {
            upstream.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let answer = client.until("504 Gateway Timeout");
    tokio::select! { answer = answer => assert!(answer.starts_with("HTTP/1.1 103 ")), () = hints => {} }
}

#[tokio::test]
async fn large_interim_response_is_502() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for_url(&upstream.url(), ", max_response_head: 8KiB").await;
    upstream.next(MockResponse::raw(format!("HTTP/1.1 103 Early Hints\r\nX: {}\r\n\r\n", "x".repeat(9000))));
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_protocol"));
}

#[tokio::test]
async fn field_that_connection_names_is_no_part_of_an_interim_response() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::raw(
        "HTTP/1.1 103 Early Hints\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-End: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ));
    let mut caller = Wire::to(&sidekey).await;
    caller.send(GET).await;
    let answer = caller.until("HTTP/1.1 200 OK").await;
    assert!(answer.starts_with("HTTP/1.1 103 Early Hints\r\nX-End: 1\r\n\r\n"), "{answer}");
}
