//! Responses reach the caller as the upstream sent them.

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url};
use crate::harness::{MockResponse, MockUpstream, Request};

/// The bytes that the caller receives if the upstream sends these bytes and closes.
async fn response_bytes(request: &str, answer: &[u8]) -> String {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send(request).await;
    let (mut upstream, _) = server.accept_request().await;
    upstream.send(answer).await;
    upstream.finish().await;
    client.rest().await
}

const GET: &str = "GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const HEAD: &str = "HEAD /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const OLD: &str = "GET /api/x HTTP/1.0\r\n\r\n";

#[tokio::test]
async fn response_head_passes_unchanged() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 200 \r\nContent-Length: 0\r\n",
        "HTTP/1.1 299 So-so (really?)\r\nX-ONE: 1\r\nx-one: 2\r\nX-Empty: \r\nContent-Length: 0\r\n",
        "HTTP/1.1 200 Tr\u{e8}s bien\r\nX-Latin: caf\u{e9}\r\nContent-Length: 0\r\n",
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nset-cookie: a=3\r\nETag: W/\"x\"\r\nVary: *\r\nContent-Length: 0\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 0\r\n",
        "HTTP/1.1 301 Moved Permanently\r\nLocation: https://elsewhere.example/?a=%20\r\nContent-Length: 0\r\n",
        "HTTP/1.1 204 No Content\r\nX-A: 1\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1234\r\n",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n",
        "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n",
    ] {
        let passed = response_bytes(GET, format!("{answer}\r\n").as_bytes()).await;
        assert_eq!(passed, format!("{answer}Connection: close\r\n\r\n"));
    }
}

#[tokio::test]
async fn response_body_passes_with_its_framing() {
    for (fields, body) in [
        ("Content-Length: 8\r\nConnection: close\r\n", "\0\u{1}\r\n\r\n\u{7f}."),
        ("Content-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n", "\u{1f}..."),
        ("Transfer-Encoding: chunked\r\nConnection: close\r\n", "0\r\n\r\n"),
        (
            "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n",
            "5;name=\"v\"\r\nhello\r\n00A\r\n0123456789\r\n0;last\r\nX-Sum: 1\r\nx-SUM:2\r\n\r\n",
        ),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
        assert_eq!(response_bytes(GET, answer.as_bytes()).await, answer);
    }
}

#[tokio::test]
async fn response_body_until_close_is_chunked_for_caller() {
    for start in ["HTTP/1.0 200 OK\r\n", "HTTP/1.1 200 OK\r\n"] {
        let passed = response_bytes(GET, format!("{start}X: y\r\n\r\nhello").as_bytes()).await;
        let expected = "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        assert_eq!(passed, expected);
    }
}

#[tokio::test]
async fn http10_caller_gets_no_chunked_response() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n";
    assert_eq!(
        response_bytes(OLD, chunked.as_bytes()).await,
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!"
    );
    let until_closed = "HTTP/1.0 200 OK\r\n\r\nhello!";
    assert_eq!(
        response_bytes(OLD, until_closed.as_bytes()).await,
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!"
    );
}

#[tokio::test]
async fn response_to_head_has_fields_and_no_body() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"x\"\r\n";
    let passed = response_bytes(HEAD, format!("{answer}\r\n").as_bytes()).await;
    assert_eq!(passed, format!("{answer}Connection: close\r\n\r\n"));
    let passed = response_bytes(HEAD, b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert_eq!(passed, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

#[tokio::test]
async fn response_hop_by_hop_and_sidekey_fields_are_removed() {
    let answer = "HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n\
                  Sidekey-Error: credential_unavailable\r\nsidekey-ERROR: x\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n\
                  X-Stays: 1\r\nContent-Length: 0\r\n\r\n";
    let passed = response_bytes(GET, answer.as_bytes()).await;
    assert_eq!(passed, "HTTP/1.1 200 OK\r\nX-Stays: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

#[tokio::test]
async fn response_head_with_bare_line_feeds_is_accepted() {
    let passed = response_bytes(GET, b"HTTP/1.1 200 OK\nX: y\nContent-Length: 5\n\nhello").await;
    assert_eq!(passed, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
}

#[tokio::test]
async fn interim_responses_pass_to_http11_callers() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(
        MockResponse::ok("done")
            .after_informational("103 Early Hints\r\nLink: <a>; rel=preload\r\nlink: <b>")
            .after_informational("102 Processing"),
    );
    let response = sidekey.get("/api/x").await;
    assert_eq!(response.text(), "done");
    let lines: Vec<_> = response.informational.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, ["HTTP/1.1 103 Early Hints", "HTTP/1.1 102 Processing"]);
    assert_eq!(response.informational[0].1.all("link"), ["<a>; rel=preload", "<b>"]);

    // A caller of HTTP/1.0 does not know interim responses.
    upstream.next(MockResponse::ok("done").after_informational("103 Early Hints"));
    let mut client = Wire::to(&sidekey).await;
    client.send(OLD).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn redirect_responses_are_not_followed() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for status in [301, 302, 303, 307, 308] {
        upstream.next(MockResponse::status(status).header("Location", "https://elsewhere.example/x"));
        let response = Request::post(sidekey.url("/api/x"), "body").send().await;
        assert_eq!(
            (response.status, response.header("location")),
            (status, Some("https://elsewhere.example/x"))
        );
    }
    assert_eq!(upstream.request_count(), 5);
}
