//! Requests reach the upstream as the caller sent them.

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url};
use crate::harness::{Connection, MockUpstream, Request, Sidekey, Version};

#[tokio::test]
async fn request_head_passes_except_host_and_credential() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    client
        .send(
            "GET /api/v1/x HTTP/1.1\r\nX-ONE: 1\r\nhOsT: localhost\r\nx-one:  two \r\nX-Empty:\r\nX-One: a,b\r\nRange: bytes=0-1\r\n\
             If-None-Match: \"e\"\r\nAccept-Encoding: gzip, br;q=0.1\r\nX-Latin: caf\u{e9}\r\nCookie: b=2\r\nCookie: a=1\r\n\
             User-Agent: \r\nTrailer: x\r\n\r\n",
        )
        .await;
    assert_eq!(client.response().await.status, 200);
    let head = String::from_utf8(upstream.only_request().raw_head).unwrap();
    let expected = format!(
        "GET /v1/x HTTP/1.1\r\nHost: {}\r\nX-ONE: 1\r\nx-one: two\r\nX-Empty: \r\nX-One: a,b\r\nRange: bytes=0-1\r\n\
         If-None-Match: \"e\"\r\nAccept-Encoding: gzip, br;q=0.1\r\nX-Latin: caf\u{e9}\r\nCookie: b=2\r\nCookie: a=1\r\n\
         User-Agent: \r\nTrailer: x\r\nAuthorization: Bearer t0ken\r\n\r\n",
        upstream.address()
    );
    assert_eq!(head, expected);
}

#[tokio::test]
async fn request_path_and_query_pass_unchanged() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let long = format!("/{}?{}", "p".repeat(20_000), "q=1&".repeat(2_000));
    for path in [
        "/",
        "//",
        "///x//",
        "/?",
        "/x?",
        "/??",
        "/x?a?b",
        "/%2F%2f%00%ff%zz%",
        "/a/../b/./c",
        "/a;b=c,d:e@f!$'()*+",
        "/x?a=%20+%2B&&a=1;b",
        "/\"<>^`{|}",
        "/ümlaut",
        "/x?u=http://h/p",
        "/\\",
        &long,
    ] {
        assert_eq!(sidekey.get(&format!("/api{path}")).await.status, 200, "{path}");
        assert_eq!(upstream.last_request().target, path);
        // HTTP/2 rejects characters that are not allowed in a URI (RFC 3986 §2).
        if ["/\"<>^`{|}", "/ümlaut"].contains(&path) {
            continue;
        }
        let call = Request::get(sidekey.url(&format!("/api{path}"))).over_http2();
        assert_eq!(call.send().await.status, 200, "{path} by HTTP/2");
        assert_eq!(upstream.last_request().target, path);
    }
    assert_eq!(sidekey.get("/api").await.status, 200);
    assert_eq!(upstream.last_request().target, "/");
    assert_eq!(sidekey.get("/api?a").await.status, 200);
    assert_eq!(upstream.last_request().target, "/?a");
}

#[tokio::test]
async fn request_method_passes_unchanged() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for method in [
        "GET",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "PROPFIND",
        "get",
        "M-SEARCH",
        "!#$%&'*+-.^_`|~9",
    ] {
        for version in Version::ALL {
            let call = Request::new(method, sidekey.url("/api/x")).by(version);
            assert_eq!(call.send().await.status, 200, "{method} {version:?}");
            assert_eq!(upstream.last_request().method, method);
        }
    }
}

#[tokio::test]
async fn absolute_request_target_selects_service_by_host() {
    let upstream = MockUpstream::plain().await;
    let services = format!(
        "api: {{ upstream: '{}/base', hosts: [crm.internal], auth: {{ type: bearer, token: t0ken }} }}",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&services).start().await;
    for (target, host, seen) in [
        ("http://crm.internal/x?y=1", "crm.internal", "/base/x?y=1"),
        ("HTTP://CRM.internal:8080/x", "crm.INTERNAL", "/base/x"),
        ("http://crm.internal", "crm.internal:80", "/base"),
        ("http://crm.internal?q", "crm.internal", "/base?q"),
        ("http://127.0.0.1/base//x", "127.0.0.1", "/base//x"),
        ("http://127.0.0.1/base?q", "127.0.0.1", "/base?q"),
    ] {
        let mut client = sidekey.connect().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(client.response().await.status, 200, "{target}");
        let request = upstream.last_request();
        assert_eq!((request.target.as_str(), request.header("authorization")), (seen, Some("Bearer t0ken")));
        assert_eq!(request.header("host"), Some(upstream.address().to_string().as_str()));
    }
    let count = upstream.request_count();
    for (target, host, reason) in [
        ("http://elsewhere.example/api/x", "elsewhere.example", "unknown_service"),
        ("http://127.0.0.1/x", "127.0.0.1", "unknown_service"),
        ("http://127.0.0.1/basement", "127.0.0.1", "unknown_service"),
        ("http://127.0.0.1/base/../x", "127.0.0.1", "forbidden"),
        ("http://crm.internal/x", "other", "forbidden"),
        ("http://elsewhere.example/x", "crm.internal", "forbidden"),
    ] {
        let mut client = sidekey.connect().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(client.response().await.sidekey_error(), Some(reason), "{target} {host}");
    }
    assert_eq!(upstream.request_count(), count);
}

#[tokio::test]
async fn request_hop_by_hop_fields_are_removed() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    client
        .send(
            "GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: X-Hop, upgrade, HTTP2-Settings\r\nX-Hop: 1\r\nx-hop: 2\r\nKeep-Alive: 5\r\n\
             Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic evil\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\
             TE: trailers, gzip\r\nX-Stays: 1\r\n\r\n",
        )
        .await;
    assert_eq!(client.response().await.status, 200);
    let names = upstream.only_request().headers.names();
    assert_eq!(names, ["host", "x-stays", "te", "connection", "authorization"]);
    assert_eq!(upstream.only_request().header("te"), Some("trailers"));
}

#[tokio::test]
async fn request_with_large_header_block_passes() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut call = Request::get(sidekey.url("/api/x"));
    for number in 0..100 {
        call = call.header(&format!("X-{number}"), &"v".repeat(500));
    }
    for version in Version::ALL {
        assert_eq!(call.clone().by(version).send().await.status, 200);
        assert_eq!(upstream.last_request().headers.0.len(), 102);
    }
}

#[tokio::test]
async fn http10_request_is_served() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.0\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    let request = upstream.only_request();
    assert_eq!((request.version.as_str(), request.header("host").is_some()), ("HTTP/1.1", true));

    let mut client = Connection::open(sidekey.address()).await;
    for _ in 0..2 {
        client.send("POST /api/x HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!(client.response().await.header("connection"), Some("keep-alive"));
        assert_eq!(upstream.last_request().text(), "hi");
    }
}

#[tokio::test]
async fn request_body_passes_with_its_framing() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let mut client = Wire::to(&sidekey).await;
    let mut upstream = None;
    for (fields, body) in [
        ("Content-Length: 0\r\n", ""),
        ("Content-Length: 8\r\n", "\0\u{1}\r\n\r\n\u{7f}."),
        ("Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\u{1f}..."),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\n",
            "5;name=\"v;\\\" \";x\r\nhello\r\n00A \r\n0123456789\r\n0;last\r\nX-Sum: 1\r\nx-SUM:2\r\nX_odd: \r\n\r\n",
        ),
    ] {
        client.send(format!("PUT /api/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}")).await;
        if upstream.is_none() {
            upstream = Some(server.accept().await);
        }
        let upstream = upstream.as_mut().unwrap();
        assert!(upstream.until("\r\n\r\n").await.contains(fields));
        if !body.is_empty() {
            assert_eq!(upstream.until(body).await, body);
        }
        assert_eq!(upstream.left(), b"");
        upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 204 No Content\r\n\r\n");
    }
}

#[tokio::test]
async fn pipelined_requests_get_responses_in_order() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(|request| {
        crate::harness::MockResponse::ok(format!("{} {}", request.target, request.text()))
    });
    let sidekey = sidekey_for(&upstream).await;
    let mut client = sidekey.connect().await;
    client
        .send(
            "GET /api/1 HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /api/2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc\
             POST /api/3 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\nX: y\r\n\r\n\
             GET /api/4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
        .await;
    for expected in ["/1 ", "/2 abc", "/3 d", "/4 "] {
        assert_eq!(client.response().await.text(), expected);
    }
    assert_eq!(client.rest().await, b"");
    assert_eq!(upstream.connections(), 1);
}
