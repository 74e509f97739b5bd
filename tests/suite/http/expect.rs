//! `Expect: 100-continue`: the upstream's interim or final response reaches the waiting caller.

use super::setup::sidekey_for;
use crate::harness::{MockResponse, MockUpstream, assert_eventually};
use std::time::Duration;

const HEAD: &str =
    "POST /api/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

#[tokio::test]
async fn expect_continue_passes_100_to_caller() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    for round in 1..=2 {
        client.send(HEAD).await;
        assert_eq!(client.head().await.0, 100);
        client.send("hello").await;
        assert_eq!(client.response().await.text(), "ok");
        assert_eq!(upstream.request_count(), round);
        assert_eq!(upstream.last_request().text(), "hello");
        assert_eq!(upstream.last_request().header("expect"), Some("100-continue"));
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn expect_continue_passes_417_before_the_body() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::status(417).body("no").early());
    let mut client = sidekey.connect().await;
    client.send(HEAD).await;
    let response = client.response().await;
    assert_eq!((response.status, response.text().as_str()), (417, "no"));
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
    // Half a request is on that connection: it is not reused.
    assert_eventually(Duration::from_secs(20), "the upstream's connection is closed", async || {
        upstream.open_connections() == 0
    })
    .await;
    assert_eq!(sidekey.get("/api/y").await.status, 200);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn early_response_reaches_caller_during_upload() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::status(413).body("too large").early().close());
    let mut client = sidekey.connect().await;
    client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n").await;
    let response = async { client.response_to("POST").await.unwrap() }.await;
    assert_eq!((response.status, response.text().as_str()), (413, "too large"));
}
