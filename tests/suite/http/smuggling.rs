//! Request smuggling: a request that two parties might read differently is rejected; nothing of it
//! reaches an upstream.

use super::setup::{Wire, sidekey_for};
use crate::harness::{MockUpstream, Response};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

async fn assert_rejected(sidekey: &crate::harness::Sidekey, request: &[u8]) -> Response {
    let mut client = sidekey.connect().await;
    client.send(request).await;
    let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
    let response = client.response_to("GET").await.unwrap_or_else(|error| panic!("{shown:?}: {error}"));
    assert!((400..500).contains(&response.status), "{shown:?}: {}", response.start_line);
    assert!(response.sidekey_error().is_some(), "{shown:?}: not from Sidekey");
    assert_eq!(response.header("connection"), Some("close"), "{shown:?}");
    response
}

#[tokio::test]
async fn ambiguous_request_head_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let post = |fields: &str, body: &str| {
        format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}").into_bytes()
    };
    let start = |lines: &str| format!("{lines}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let cases = [
        post(&format!("Content-Length: 5\r\n{CHUNKED}"), "0\r\n\r\n"),
        post(&format!("{CHUNKED}Content-Length: 5\r\n"), "0\r\n\r\n"),
        post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
        post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
        post("Content-Length: 3, 3\r\n", "abc"),
        post("Content-Length: +3\r\n", "abc"),
        post("Content-Length: -3\r\n", "abc"),
        post("Content-Length: 9223372036854775808\r\n", "abc"),
        post("Content-Length: 0x3\r\n", "abc"),
        post("Content-Length: 3 3\r\n", "abc"),
        post("Content-Length: 3;a\r\n", "abc"),
        post("Content-Length:\r\n", "abc"),
        post("Content-Length: 18446744073709551616\r\n", ""),
        post(&format!("{CHUNKED}{CHUNKED}"), "0\r\n\r\n"),
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: identity\r\n", ""),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding:\r\n", ""),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
        post("X: a\r\n Content-Length: 3\r\n", "abc"),
        post("X: a\r\n\tb\r\n", ""),
        post(" X: a\r\n", ""),
        post("X: a\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("X: a\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("X: a\0b\r\n", ""),
        post("X\0: a\r\n", ""),
        post("X: a\x01b\r\n", ""),
        post("X: a\x7f\r\n", ""),
        post(": a\r\n", ""),
        post("no colon\r\n", ""),
        post("Bad Name: a\r\n", ""),
        post("Host: b\r\n", ""),
        post("host: a\r\n", ""),
        start("GET /api/x HTTP/1.1"),
        start("GET /api/x HTTP/2.0\r\nHost: localhost"),
        start("GET /api/x HTTP/1.2\r\nHost: localhost"),
        start("GET /api/x http/1.1\r\nHost: localhost"),
        start("GET /api/x\r\nHost: localhost"),
        start("GET  /api/x HTTP/1.1\r\nHost: localhost"),
        start("GET /api/x  HTTP/1.1\r\nHost: localhost"),
        start("GET /api/ x HTTP/1.1\r\nHost: localhost"),
        start("GET /api/x#frag HTTP/1.1\r\nHost: localhost"),
        start("GET /api/\0 HTTP/1.1\r\nHost: localhost"),
        start("G(T /api/x HTTP/1.1\r\nHost: localhost"),
        start(" GET /api/x HTTP/1.1\r\nHost: localhost"),
        start("GET api/x HTTP/1.1\r\nHost: localhost"),
        start("GET ftp://a/api/x HTTP/1.1\r\nHost: localhost"),
        start("GET http://u:p@a/api/x HTTP/1.1\r\nHost: localhost"),
        start("POST /api/x HTTP/1.0\r\nTransfer-Encoding: chunked"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
    ];
    for case in &cases {
        assert_rejected(&sidekey, case).await;
    }
    let rejections = sidekey.metric("sidekey_request_errors_total", &[("reason", "bad_request")]).await;
    assert_eq!(rejections, Some(f64::from(u32::try_from(cases.len()).unwrap())));
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn request_head_with_bare_line_feeds_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for head in [
        "GET /api/x HTTP/1.1\nHost: localhost\n\n",
        "GET /api/x HTTP/1.1\r\nHost: localhost\n\n",
        "GET /api/x HTTP/1.1\r\nHost: localhost\r\n\n",
        "GET /api/x HTTP/1.1\r\nHost: localhost\n\r\n",
        "GET /api/x HTTP/1.1\r\nHost: localhost\n\nGET /api/y HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/x HTTP/1.1\nHost: localhost\r\n\r\n",
    ] {
        assert_eq!(assert_rejected(&sidekey, head.as_bytes()).await.sidekey_error(), Some("bad_request"));
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn malformed_chunked_body_is_rejected() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(5000));
    for body in [
        "x\r\n\r\n",
        "\r\n\r\n",
        "-1\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "1 1\r\na\r\n0\r\n\r\n",
        "1\t2\r\na\r\n0\r\n\r\n",
        "1\na\n0\n\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "1;a\rb\r\na\r\n0\r\n\r\n",
        "1;\0\r\na\r\n0\r\n\r\n",
        "10000000000000000\r\na\r\n0\r\n\r\n",
        // Numbers with a sign end at 2^63 - 1.
        "ffffffffffffffff\r\na\r\n0\r\n\r\n",
        "8000000000000000\r\na\r\n0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nHost: evil\r\n\r\n",
        "0\r\nConnection: close\r\n\r\n",
        "0\r\nCookie: a=1\r\n\r\n",
        "0\r\naUTHORIZATION: Bearer evil\r\n\r\n",
        "0\r\nX: a\nAuthorization: Bearer evil\r\n\r\n",
        "0\r\nX: a\nY: b\r\n\r\n",
        "0\r\nX: a\r\n folded\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nBad Name: x\r\n\r\n",
        "0\r\nX: a\n\r\nGET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &long,
    ] {
        let request = format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\n{CHUNKED}\r\n{body}");
        assert_eq!(
            assert_rejected(&sidekey, request.as_bytes()).await.sidekey_error(),
            Some("bad_request"),
            "{body:?}"
        );
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn malformed_later_chunk_never_completes_upstream_request() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    client.send(format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\n{CHUNKED}\r\n3\r\nabc\r\n")).await;
    upstream.received(1).await;
    client.send("zz\r\nGET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(client.response().await.sidekey_error(), Some("bad_request"));
    assert!(!upstream.only_request().complete);
}

#[tokio::test]
async fn oversized_request_head_is_413() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let start = "GET /api/x HTTP/1.1\r\nHost: localhost\r\n";
    for head in [
        format!("{start}X: {}\r\n\r\n", "x".repeat(70_000)),
        format!("GET /api/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(70_000)),
        format!("{start}X: {}", "x".repeat(70_000)),
        format!("{start}{}\r\n", "X: y\r\n".repeat(200)),
    ] {
        let response = assert_rejected(&sidekey, head.as_bytes()).await;
        assert_eq!((response.status, response.sidekey_error()), (413, Some("too_large")));
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn request_after_rejected_request_is_not_served() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = Wire::to(&sidekey).await;
    client
        .send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\nGET /api/y HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let answers = client.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn empty_lines_before_request_are_accepted() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    client.send("\r\n\r\nGET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(client.response().await.status, 200);
}
