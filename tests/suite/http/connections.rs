//! Connection reuse on both sides: kept alive if both agree, never after an exchange that did not end
//! cleanly.

use std::time::Duration;

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url};
use crate::harness::{MockResponse, MockUpstream, Request, TIMEOUT, assert_eventually};

const GET: &str = "GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn connections_of_both_sides_are_reused() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    for method in ["GET", "HEAD", "POST", "GET"] {
        client
            .send(format!("{method} /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"))
            .await;
        assert_eq!(client.response_to(method).await.unwrap().header("connection"), None);
    }
    for answer in [
        MockResponse::status(204),
        MockResponse::status(304),
        MockResponse::status(404),
        MockResponse::ok("x").chunked(1),
    ] {
        upstream.next(answer);
        client.send(GET).await;
        client.response().await;
    }
    assert_eq!((upstream.request_count(), upstream.connections()), (8, 1));
}

#[tokio::test]
async fn upstream_connection_is_shared_by_callers() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for _ in 0..5 {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn connection_close_on_one_side_keeps_the_other() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    upstream.next(MockResponse::ok("bye").close());
    client.send(GET).await;
    assert_eq!(client.response().await.header("connection"), None);
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(client.response().await.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn upstream_connection_closed_while_idle_is_not_reused() {
    for method in ["GET", "POST"] {
        let upstream = MockUpstream::plain().await;
        let sidekey = sidekey_for(&upstream).await;
        assert_eq!(sidekey.get("/api/1").await.status, 200);
        upstream.cut_connections();
        assert_eventually(TIMEOUT, "it is closed", async || upstream.open_connections() == 0).await;
        let response = Request::new(method, sidekey.url("/api/2")).body("body").send().await;
        assert_eq!(response.status, 200, "{method}");
        assert_eq!((upstream.request_count(), upstream.connections()), (2, 2));
    }
}

#[tokio::test]
async fn idempotent_request_is_retried_after_connection_loss() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (method, status) in
        [("GET", 200), ("HEAD", 200), ("PUT", 200), ("DELETE", 200), ("POST", 502), ("PATCH", 502)]
    {
        assert_eq!(sidekey.get("/api/warm").await.status, 200);
        let before = upstream.request_count();
        upstream.next(MockResponse::close_unanswered());
        let response = Request::new(method, sidekey.url("/api/x")).body("body").send().await;
        assert_eq!(response.status, status, "{method}");
        assert_eq!(upstream.request_count() - before, if status == 200 { 2 } else { 1 }, "{method}");
        assert_eq!(upstream.last_request().text(), "body");
    }
}

#[tokio::test]
async fn request_on_new_connection_is_not_retried() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.always(MockResponse::close_unanswered());
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")));
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn upstream_connection_with_excess_bytes_is_closed() {
    for unsolicited in ["x", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!", "\r\n"] {
        let server = RawServer::new().await;
        let sidekey = sidekey_for_url(&server.url(), "").await;
        let mut client = Wire::to(&sidekey).await;
        for _ in 0..2 {
            client.send(GET).await;
            let (mut upstream, _) = server.accept_request().await;
            upstream.send(format!("{OK}{unsolicited}")).await;
            client.until("\r\n\r\nok").await;
            assert_eq!(upstream.rest().await, "", "{unsolicited:?}");
        }
    }
}

#[tokio::test]
async fn upstream_connection_with_bytes_while_idle_is_closed() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send(GET).await;
    let (mut first, _) = server.accept_request().await;
    first.send(OK).await;
    client.until("\r\n\r\nok").await;
    first.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!").await;
    client.send(GET).await;
    let (mut second, _) = server.accept_request().await;
    second.send(OK).await;
    client.until("\r\n\r\nok").await;
    assert_eq!(first.rest().await, "");
}

#[tokio::test]
async fn upstream_connection_with_body_after_head_is_closed() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("HEAD /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (mut upstream, _) = server.accept_request().await;
    upstream.send(OK).await;
    assert!(!client.until("\r\n\r\n").await.contains("close"));
    client.send(GET).await;
    let (mut second, _) = server.accept_request().await;
    second.send(OK).await;
    client.until("\r\n\r\nok").await;
    assert_eq!(upstream.rest().await, "");
}

#[tokio::test]
async fn pipelining_after_connection_close_still_gets_response() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let body = "y".repeat(200_000);
    for _ in 0..10 {
        upstream.next(MockResponse::ok(body.clone()));
        let mut client = sidekey.connect().await;
        let more = "GET /api/ignored HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
        client
            .send(format!("GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n{more}"))
            .await;
        let response = client.response().await;
        assert!(response.complete && response.text() == body);
    }
    assert_eq!(upstream.request_count(), 10);
}

#[tokio::test]
async fn error_response_keeps_connection_if_request_is_complete() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    upstream.next(MockResponse::raw("garbage\r\n\r\n"));
    client.send(GET).await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (502, None));
    client.send(GET).await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn partial_request_head_is_dropped_on_disconnect() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHo").await;
    client.finish().await;
    assert_eq!(client.rest().await, "");
    assert_eq!(upstream.connections(), 0);
    tokio::time::timeout(Duration::from_secs(10), sidekey.get("/api/x")).await.unwrap();
}

#[tokio::test]
async fn connections_with_unfinished_request_body_are_closed() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345").await;
    let (mut upstream, _) = server.accept_request().await;
    upstream.until("12345").await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").await;
    client.until("half").await;
    upstream.send("half").await;
    client.until("half").await;
    assert_eq!(upstream.rest().await, "");
    assert_eq!(client.rest().await, "");
}
