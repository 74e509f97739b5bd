//! `timeouts.total`: the limit of a whole request, and which side is at fault when it has passed.

use std::time::Duration;

use super::setup::{RawServer, sidekey_for_url};
use crate::harness::{Http2, MockHttp2Upstream, MockResponse, MockUpstream, Request, Sidekey, post};

const CIRCUIT: &str = "circuit_breaker: { consecutive_failures: 2, open_duration: 1h }";

#[tokio::test]
async fn total_timeout_includes_failover_between_urls() {
    // Accepts connections, and never answers the TLS handshake.
    let silent = RawServer::new().await;
    let slow = MockUpstream::plain().await;
    slow.always(MockResponse::ok("late").after(Duration::from_millis(2200)));
    let services = format!(
        "api: {{ upstream: ['{}', '{}'], auth: {{ type: bearer, token: t }}, timeouts: {{ connect: 500ms, total: 2500ms }} }}",
        silent.url().replace("http:", "https:"),
        slow.url(),
    );
    let sidekey = Sidekey::serving(&services).start().await;
    // 500 ms for the first and 2200 ms for the second URL are more than the limit.
    let response = sidekey.get("/api/x").await;
    assert_eq!((response.status, response.sidekey_error()), (504, Some("upstream_timeout")));
    assert_eq!(slow.request_count(), 1);
}

#[tokio::test]
async fn total_timeout_by_upstream_counts_as_upstream_failure() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::never());
    let more = format!(", timeouts: {{ total: 300ms }}, {CIRCUIT}");
    let sidekey = sidekey_for_url(&upstream.url(), &more).await;
    for _ in 0..2 {
        assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_timeout"));
    }
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("overloaded"), "the circuit is open");
    assert_eq!(upstream.request_count(), 2);
}

#[tokio::test]
async fn total_timeout_by_caller_is_not_an_upstream_failure() {
    for protocol in ["http1", "http2"] {
        let (http1, http2) = (MockUpstream::plain().await, MockHttp2Upstream::plain().await);
        let url = if protocol == "http1" { http1.url() } else { http2.url() };
        for limit in ["total: 1s", "idle: 500ms", "idle: 500ms, total: 1h"] {
            let more = format!(", timeouts: {{ {limit} }}, {CIRCUIT}, protocol: {protocol}");
            let sidekey = sidekey_for_url(&url, &more).await;
            let plain = async |head: &str| {
                let mut caller = sidekey.connect().await;
                caller.send(format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\n{head}")).await;
                let response = caller.response().await;
                assert_eq!(
                    (response.status, response.sidekey_error()),
                    (400, Some("bad_request")),
                    "{limit}"
                );
                assert!(response.text().contains("did not arrive in time"), "{}", response.text());
            };
            let by_http2 = async {
                let mut caller = Http2::open(sidekey.address()).await;
                let mut stream = caller.begin(post("/api/x")).await;
                stream.send("123", false).await;
                assert_eq!(stream.response().await.header("sidekey-error"), Some("bad_request"), "{limit}");
            };
            tokio::join!(
                plain("Content-Length: 10\r\n\r\n123"),
                plain("Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n7\r\n4"),
                by_http2,
            );
            let response = Request::post(sidekey.url("/api/x"), "whole").send().await;
            assert_eq!(response.text(), "ok", "{protocol}, {limit}: the circuit is closed");
        }
    }
}
