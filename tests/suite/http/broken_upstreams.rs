//! Upstream failures: before the response they become an error response, within it the connection is cut.

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url, wait_until_idle};
use crate::harness::{MockResponse, MockUpstream, RefusingPort, Request, Sidekey};

#[tokio::test]
async fn upstream_malformed_response_head_is_502() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let ok = "HTTP/1.1 200 OK\r\n";
    let answers = [
        MockResponse::close_unanswered(),
        MockResponse::reset(),
        MockResponse::raw("garbage"),
        MockResponse::raw("garbage\r\n\r\n"),
        MockResponse::raw("SSH-2.0-OpenSSH_9.6\r\n"),
        MockResponse::raw("\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        MockResponse::raw("HTTP/2 200\r\n\r\n"),
        MockResponse::raw("HTTP/1.1 20 OK\r\n\r\n"),
        MockResponse::raw("HTTP/1.1 099 OK\r\n\r\n"),
        MockResponse::raw("HTTP/1.1 2000 OK\r\n\r\n"),
        MockResponse::raw("HTTP/1.1 abc OK\r\n\r\n"),
        MockResponse::raw(format!("{ok}Content-Length: 5\r\nX")),
        MockResponse::raw(format!("{ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        MockResponse::raw(format!("{ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")),
        MockResponse::raw(format!("{ok}Content-Length: -5\r\n\r\nhello")),
        MockResponse::raw(format!("{ok}Content-Length: 5, 5\r\n\r\nhello")),
        MockResponse::raw(format!("{ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
        MockResponse::raw(format!(
            "{ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )),
        MockResponse::raw(format!("{ok}X: a\r\n folded\r\n\r\n")),
        MockResponse::raw(format!("{ok}X: a\0b\r\n\r\n")),
        MockResponse::raw(format!("{ok}no colon\r\n\r\n")),
        MockResponse::raw(format!("{ok}X y: z\r\n\r\n")),
        MockResponse::raw(format!("{ok} X: y\r\n\r\n")),
        MockResponse::raw(format!("{ok}X: {}\r\n\r\n", "x".repeat(150_000))),
        MockResponse::raw(format!("{ok}{}\r\n", "X: y\r\n".repeat(1200))),
        MockResponse::raw(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        MockResponse::raw("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        MockResponse::raw("HTTP/1.1 103 Early Hints\r\n\r\n"),
    ];
    let count = answers.len();
    for (case, answer) in answers.into_iter().enumerate() {
        upstream.next(answer);
        let response = Request::post(sidekey.url("/api/x"), "body").send().await;
        assert_eq!(
            (response.status, response.sidekey_error()),
            (502, Some("upstream_protocol")),
            "case {case}"
        );
        assert!(response.complete);
    }
    assert_eq!((upstream.request_count(), upstream.connections()), (count, count));
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn upstream_failure_within_body_cuts_downstream_connection() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for answer in [
        MockResponse::ok("12345678").cut_at(4),
        MockResponse::ok("12345678").cut_at(4).then_reset(),
        MockResponse::ok("12345678").cut_at(0),
        MockResponse::raw(format!("{chunked}8\r\n1234")),
        MockResponse::raw(format!("{chunked}4\r\n1234\r\n")),
        MockResponse::raw(format!("{chunked}4\r\n1234\r\n0\r\n")),
        MockResponse::raw(format!("{chunked}4\r\n1234\r\n0\r\nX-Sum: 1\r\n")),
        MockResponse::raw(format!("{chunked}4\r\n1234\r\nzz\r\n")),
        MockResponse::raw(format!("{chunked}4\r\n12345\r\n0\r\n\r\n")),
    ] {
        upstream.next(answer);
        let response = sidekey.get("/api/x").await;
        // If the failure came together with the head, the caller may still get an error response.
        if response.sidekey_error() != Some("upstream_protocol") {
            assert_eq!((response.status, response.complete), (200, false));
            assert!("1234".starts_with(&response.text()), "{}", response.text());
        }
    }
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn upstream_reset_of_unframed_body_is_not_a_clean_end() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::ok("half of it").until_closed().then_reset());
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(!answer.contains("\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn upstream_refused_connection_is_upstream_connect() {
    let port = RefusingPort::new();
    let sidekey = sidekey_for_url(&format!("http://{}", port.address), "").await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_connect")));
}

#[tokio::test]
async fn upstream_unresolvable_name_is_upstream_connect() {
    let sidekey = sidekey_for_url("https://nobody.invalid", ", timeouts: { connect: 20s }").await;
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_connect")));
}

#[tokio::test]
async fn unreachable_upstream_closes_downstream_with_unread_body() {
    let port = RefusingPort::new();
    let sidekey = sidekey_for_url(&format!("http://{}", port.address), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n").await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.contains("Sidekey-Error: upstream_connect") && head.contains("Connection: close"), "{head}");
    client.send("GET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!client.rest().await.contains("HTTP/1.1"));
}

#[tokio::test]
async fn upstream_reset_during_upload_is_upstream_protocol() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n12345").await;
    let (upstream, _) = server.accept_request().await;
    upstream.reset();
    let head = client.until("\r\n\r\n").await;
    assert!(head.contains("Sidekey-Error: upstream_protocol"), "{head}");
    assert!(!client.rest().await.contains("HTTP/1.1"));
}

#[tokio::test]
async fn unreachable_upstream_does_not_affect_another_service() {
    let (good, port) = (MockUpstream::plain().await, RefusingPort::new());
    let auth = "auth: { type: bearer, token: t0ken }";
    let services = format!(
        "bad: {{ upstream: 'http://{}', {auth} }}\ngood: {{ upstream: '{}', {auth} }}",
        port.address,
        good.url()
    );
    let sidekey = Sidekey::serving(&services).start().await;
    let mut client = sidekey.connect().await;
    for (service, status) in [("bad", 502), ("good", 200), ("bad", 502), ("good", 200)] {
        client.send(format!("GET /{service}/x HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(client.response().await.status, status);
    }
}
