//! Upstreams that echo the credential: their own caller may see it; logs and admin pages may not show it.

use super::{Canary, assert_none_in, everything_shown};
use crate::harness::{MockResponse, MockUpstream, Sidekey};

#[tokio::test]
async fn upstream_response_echoes_are_not_shown() {
    let secret = Canary::new("the service");
    let upstream = MockUpstream::plain().await;
    let config = format!(
        "api: {{ upstream: '{}', auth: {{ type: api_key, name: X-Key, value: '{}' }} }}",
        upstream.url(),
        secret.value
    );
    let sidekey = Sidekey::serving(&config).env("RUST_LOG", "trace").start().await;
    let value = &secret.value;
    for (raw, status) in [
        (format!("{value}\r\n\r\n"), 502),
        (format!("HTTP/1.1 {value}\r\n\r\n"), 502),
        (format!("HTTP/1.1 200 OK\r\n{value}\r\n\r\n"), 502),
        (format!("HTTP/1.1 200 OK\r\nX\u{1}{value}: a\r\n\r\n"), 502),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n"), 502),
        (format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {value}\r\n\r\n"), 502),
        (format!("HTTP/1.1 101 {value}\r\nUpgrade: {value}\r\nConnection: {value}\r\n\r\n"), 502),
        (format!("HTTP/1.1 999 {value}\r\nX-{value}\r\n"), 502),
        (format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{value}\r\n"), 502),
        (format!("HTTP/1.1 100 {value}\r\nX: {value}\r\n\r\nHTTP/1.1 {value}\r\n\r\n"), 502),
    ] {
        upstream.next(MockResponse::raw(raw.clone()));
        let Ok(response) = crate::harness::Request::get(sidekey.url("/api/")).try_send().await else {
            continue;
        };
        assert_eq!(response.status, status, "{raw}");
        if response.sidekey_error().is_some() {
            let text = String::from_utf8_lossy(&response.raw_head).into_owned() + &response.text();
            assert_none_in("an answer of Sidekey's own", &text, [&secret]);
        }
    }
    upstream.next(MockResponse::status(401).header("X-Echo", value).body(value.as_bytes()));
    assert!(secret.is_in(&sidekey.get("/api/").await.text()), "a response is passed on unchanged");
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, [&secret]);
    }
}

#[tokio::test]
async fn upstream_body_with_the_credential_is_masked_everywhere() {
    let secret = Canary::new("the service");
    let upstream = MockUpstream::plain().await;
    let config = format!(
        "api: {{ upstream: '{}', leak_guard: body, auth: {{ type: api_key, name: X-Key, value: '{}' }} }}",
        upstream.url(),
        secret.value
    );
    let sidekey = Sidekey::serving(&config).env("RUST_LOG", "trace").start().await;
    let body = format!("<p>you sent {}</p>", secret.value);
    for size in [1, 7, body.len()] {
        let response = MockResponse::status(500).header("Content-Type", "text/html").body(body.as_str());
        upstream.next(response.chunked(size));
        let text = sidekey.get("/api/").await.text();
        assert_none_in("a text", &text, [&secret]);
        assert_eq!(text.len(), body.len());
    }
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, [&secret]);
    }
}
