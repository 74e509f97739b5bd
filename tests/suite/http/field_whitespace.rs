//! Whitespace between a field's name and its colon: removed from responses, rejected in requests (RFC 9112 §5.1).

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url};
use crate::harness::{Http2, MockResponse, MockUpstream, get};

const GET: &str = "GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn whitespace_before_colon_is_removed_from_response_head() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = Wire::to(&sidekey).await;
    for (fields, body) in [
        ("X-One : 1\r\nX-Two\t \t: 2\r\nContent-Length : 5\r\n", "hello"),
        ("X-One : 1\r\nX-Two : 2\r\nTransfer-Encoding : chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        upstream.next(MockResponse::raw(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")));
        client.send(GET).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nX-One: 1\r\nX-Two: 2\r\n"), "{head}");
        assert!(!head.contains(" :") && !head.contains('\t'), "{head}");
        // Framed by that field: the connection carries the next request.
        assert_eq!(client.until(body).await, body);
    }
}

#[tokio::test]
async fn whitespace_before_colon_hides_no_connection_field() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let head = "HTTP/1.1 200 OK\r\nConnection : close, X-Private\r\nX-Private : 1\r\nSidekey-Error : forged\r\n\
                Keep-Alive : timeout=5\r\nContent-Length : 0\r\n\r\n";
    upstream.next(MockResponse::raw(head));
    let mut client = Wire::to(&sidekey).await;
    client.send(GET).await;
    let head = client.until("\r\n\r\n").await;
    assert_eq!(head, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for framing in
        ["Content-Length : 5\r\nContent-Length: 6", "Content-Length: 5\r\nTransfer-Encoding : chunked"]
    {
        upstream.next(MockResponse::raw(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\nhello")));
        assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_protocol"), "{framing}");
    }
}

#[tokio::test]
async fn whitespace_before_colon_is_removed_from_interim_response() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::ok("x").after_informational("103 Early Hints\r\nX-Hint : 1"));
    let mut client = Wire::to(&sidekey).await;
    client.send(GET).await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n");
}

#[tokio::test]
async fn whitespace_before_colon_is_removed_from_trailers() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    // Each response has a connection of its own.
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    // In one piece, and with the trailers in pieces of their own.
    for pieces in
        [&["5\r\nhello\r\n0\r\nX-Sum : 1\r\n\r\n"][..], &["5\r\nhello\r\n0\r\nX-", "Sum ", ": 1\r\n\r\n"]]
    {
        let mut client = Wire::to(&sidekey).await;
        client.send(GET).await;
        let (mut upstream, _) = server.accept_request().await;
        upstream.send(head).await;
        client.until("\r\n\r\n").await;
        for piece in pieces {
            upstream.send(piece).await;
        }
        let body = client.until("1\r\n\r\n").await;
        assert_eq!(body.replace(":  ", ": "), "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
        drop(upstream);
    }
    let mut caller = Http2::open(sidekey.address()).await;
    let stream = caller.begin(get("/api/x")).await;
    let answer = async {
        let (mut upstream, _) = server.accept_request().await;
        upstream.send(format!("{head}5\r\nhello\r\n0\r\nX-Sum\t: 1\r\n\r\n")).await;
        upstream
    };
    let (response, _upstream) = tokio::join!(
        async move {
            let mut stream = stream;
            stream.send("", true).await;
            stream.response().await
        },
        answer
    );
    assert_eq!((response.text().as_str(), response.trailers["x-sum"].as_bytes()), ("hello", &b"1"[..]));
}

#[tokio::test]
async fn whitespace_before_colon_in_request_is_400() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for request in [
        "GET /api/x HTTP/1.1\r\nHost: localhost\r\nX-One : 1\r\n\r\n",
        "GET /api/x HTTP/1.1\r\nHost : x\r\n\r\n",
        "POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length\t: 5\r\n\r\nhello",
        "POST /api/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum : 1\r\n\r\n",
    ] {
        let mut client = Wire::to(&sidekey).await;
        client.send(request).await;
        assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 400 "), "{request}");
    }
    assert!(upstream.requests().iter().all(|request| !request.complete));
}
