//! Connections on both sides: kept while both want it, and never after an exchange that did not end cleanly.

use std::time::Duration;

use super::setup::{PATIENCE, RawServer, Wire, before, before_url};
use crate::harness::{Answer, Call, Upstream, assert_eventually};

const GET: &str = "GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn both_connections_are_kept_for_request_after_request() {
    let upstream = Upstream::plain().await;
    let sidekey = before(&upstream).await;
    let mut client = sidekey.connect().await;
    for method in ["GET", "HEAD", "POST", "GET"] {
        client.send(format!("{method} /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(client.response_to(method).await.unwrap().header("connection"), None);
    }
    for answer in [Answer::status(204), Answer::status(304), Answer::status(404), Answer::ok("x").chunked(1)]
    {
        upstream.next(answer);
        client.send(GET).await;
        client.response().await;
    }
    assert_eq!((upstream.request_count(), upstream.connections()), (8, 1));
}

#[tokio::test]
async fn callers_share_the_upstreams_connections() {
    let upstream = Upstream::plain().await;
    let sidekey = before(&upstream).await;
    for _ in 0..5 {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn each_side_may_close_without_closing_the_other() {
    let upstream = Upstream::plain().await;
    let sidekey = before(&upstream).await;
    let mut client = sidekey.connect().await;
    upstream.next(Answer::ok("bye").close());
    client.send(GET).await;
    assert_eq!(client.response().await.header("connection"), None);
    client.send("GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(client.response().await.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_while_idle_is_not_used() {
    for method in ["GET", "POST"] {
        let upstream = Upstream::plain().await;
        let sidekey = before(&upstream).await;
        assert_eq!(sidekey.get("/api/1").await.status, 200);
        upstream.cut_connections();
        assert_eventually(PATIENCE, "it is closed", async || upstream.open_connections() == 0).await;
        let response = Call::new(method, sidekey.url("/api/2")).body("body").send().await;
        assert_eq!(response.status, 200, "{method}");
        assert_eq!((upstream.request_count(), upstream.connections()), (2, 2));
    }
}

#[tokio::test]
async fn a_request_that_can_be_sent_again_survives_a_close_in_the_moment_it_is_sent() {
    let upstream = Upstream::plain().await;
    let sidekey = before(&upstream).await;
    for (method, status) in
        [("GET", 200), ("HEAD", 200), ("PUT", 200), ("DELETE", 200), ("POST", 502), ("PATCH", 502)]
    {
        assert_eq!(sidekey.get("/api/warm").await.status, 200);
        let before = upstream.request_count();
        upstream.next(Answer::close_unanswered());
        let response = Call::new(method, sidekey.url("/api/x")).body("body").send().await;
        assert_eq!(response.status, status, "{method}");
        assert_eq!(upstream.request_count() - before, if status == 200 { 2 } else { 1 }, "{method}");
        assert_eq!(upstream.last_request().text(), "body");
    }
}

#[tokio::test]
async fn a_request_on_a_new_connection_is_never_sent_twice() {
    let upstream = Upstream::plain().await;
    let sidekey = before(&upstream).await;
    upstream.always(Answer::close_unanswered());
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_protocol")));
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_end_the_upstreams_connection() {
    for unsolicited in ["x", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!", "\r\n"] {
        let server = RawServer::new().await;
        let sidekey = before_url(&server.url(), "").await;
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
async fn bytes_that_come_while_a_connection_is_idle_end_it() {
    let server = RawServer::new().await;
    let sidekey = before_url(&server.url(), "").await;
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
async fn a_body_behind_the_answer_to_head_ends_the_upstreams_connection() {
    let server = RawServer::new().await;
    let sidekey = before_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("HEAD /api/x HTTP/1.1\r\nHost: x\r\n\r\n").await;
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
async fn a_caller_that_pipelines_behind_its_last_request_still_gets_the_answer() {
    let upstream = Upstream::plain().await;
    let sidekey = before(&upstream).await;
    let body = "y".repeat(200_000);
    for _ in 0..10 {
        upstream.next(Answer::ok(body.clone()));
        let mut client = sidekey.connect().await;
        let more = "GET /api/ignored HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
        client.send(format!("GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n{more}")).await;
        let response = client.response().await;
        assert!(response.complete && response.text() == body);
    }
    assert_eq!(upstream.request_count(), 10);
}

#[tokio::test]
async fn an_error_of_sidekeys_own_keeps_the_connection_where_the_request_was_whole() {
    let upstream = Upstream::plain().await;
    let sidekey = before(&upstream).await;
    let mut client = sidekey.connect().await;
    upstream.next(Answer::raw("garbage\r\n\r\n"));
    client.send(GET).await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (502, None));
    client.send(GET).await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn half_a_request_is_dropped_without_a_word_when_its_caller_leaves() {
    let upstream = Upstream::plain().await;
    let sidekey = before(&upstream).await;
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHo").await;
    client.finish().await;
    assert_eq!(client.rest().await, "");
    assert_eq!(upstream.connections(), 0);
    tokio::time::timeout(Duration::from_secs(10), sidekey.get("/api/x")).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_holds_half_a_request_is_not_used_however_well_its_answer_ends() {
    let server = RawServer::new().await;
    let sidekey = before_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345").await;
    let (mut upstream, _) = server.accept_request().await;
    upstream.until("12345").await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").await;
    client.until("half").await;
    upstream.send("half").await;
    client.until("half").await;
    assert_eq!(upstream.rest().await, "");
    assert_eq!(client.rest().await, "");
}
