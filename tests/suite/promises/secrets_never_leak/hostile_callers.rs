//! Secrets in callers' requests: no log, no admin page and no error body repeats them.

use super::{Canary, assert_none_in, everything_shown};
use crate::harness::{Connection, MockUpstream, Sidekey};

#[tokio::test]
async fn request_contents_are_not_shown() {
    let upstream = MockUpstream::plain().await;
    let config = format!(
        "api: {{ upstream: '{}/base', auth: {{ type: bearer, token: t0ken }}, timeouts: {{ idle: 1s }} }}",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&config).env("RUST_LOG", "trace").start().await;
    let secret = Canary::new("a caller");
    let value = &secret.value;
    let with = |line: &str, fields: &str| {
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")
    };
    for request in [
        format!("{value}\r\n\r\n"),
        format!("{value} / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET /api/ {value}\r\nHost: localhost\r\n\r\n"),
        format!("GET /api/ HTTP/1.1\r\nHost: {value}\r\nConnection: close\r\n\r\n"),
        with("GET /api/", &format!("{value}\r\n")),
        with("GET /api/", &format!("Authorization: Bearer {value}\r\n")),
        with("GET /api/", &format!("Cookie: {value}\r\nX: {value}\r\n")),
        with("GET /api/", &format!("Bad\u{1}Name: {value}\r\n")),
        with("GET /api/", &format!("Long: {}\r\n", value.repeat(4000))),
        with("POST /api/", &format!("Content-Length: {value}\r\n")),
        with("POST /api/", &format!("Transfer-Encoding: {value}\r\n")),
        with("POST /api/", "Transfer-Encoding: chunked\r\n") + value + "\r\n\r\n",
        with("POST /api/", "Content-Length: 40\r\n") + value,
        with(&format!("GET /api/?key={value}"), ""),
        with(&format!("GET http://user:{value}@127.0.0.1/"), ""),
        with(&format!("GET /api/../../?{value}"), ""),
        with(&format!("GET /{value}/x"), ""),
        with(&format!("CONNECT {value}:443"), ""),
    ] {
        let mut connection = Connection::open(sidekey.address()).await;
        let _ = connection.try_send(&request).await;
        let answer = String::from_utf8_lossy(&connection.rest().await).into_owned();
        assert_none_in("an answer", &answer, [&secret]);
    }
    assert!(upstream.requests().iter().any(|request| secret.is_in(&request.target)));
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, [&secret]);
    }
}
