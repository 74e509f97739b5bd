//! `max_response_head`: the limits on the size of a response's head and on the number of its fields.

use super::setup::{sidekey_for, sidekey_for_url};
use crate::harness::{Http2, MockHttp2Upstream, MockResponse, MockUpstream};

/// A response with a field of `size` bytes and `fields` further ones.
fn response(size: usize, fields: usize) -> MockResponse {
    let all =
        (0..fields).fold(MockResponse::ok("hello"), |all, number| all.header(&format!("X-{number}"), "y"));
    all.header("X-Large", &"x".repeat(size))
}

#[tokio::test]
async fn response_head_up_to_the_default_limits_passes() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut caller = Http2::open(sidekey.address()).await;
    for (size, fields) in [(0, 0), (100_000, 5), (50, 126), (50, 127), (50, 200), (50, 990)] {
        upstream.always(response(size, fields));
        let over_http1 = sidekey.get("/api/x").await;
        let large = over_http1.header("x-large").map(str::len);
        assert_eq!((over_http1.status, over_http1.text().as_str(), large), (200, "hello", Some(size)));
        assert_eq!(over_http1.headers.0.iter().filter(|(_, value)| value == "y").count(), fields);
        let over_http2 = caller.get("/api/x").await;
        assert_eq!((over_http2.status, over_http2.text().as_str()), (200, "hello"));
        assert_eq!(over_http2.headers.values().filter(|value| *value == "y").count(), fields);
    }
    for (size, fields) in [(140_000, 5), (50, 1001)] {
        upstream.always(response(size, fields));
        let refused = sidekey.get("/api/x").await;
        assert_eq!((refused.status, refused.sidekey_error()), (502, Some("upstream_protocol")));
    }
}

#[tokio::test]
async fn max_response_head_sets_both_limits() {
    let upstream = MockUpstream::plain().await;
    for (limits, size, fields, status) in [
        ("8KiB", 8000, 5, 200),
        ("8KiB", 8500, 5, 502),
        ("{ fields: 20 }", 5, 18, 200),
        ("{ fields: 20 }", 5, 19, 502),
        ("{ size: 1MiB, fields: 3000 }", 1_000_000, 2990, 200),
        ("{ size: 1MiB, fields: 3000 }", 5, 3000, 502),
    ] {
        let sidekey = sidekey_for_url(&upstream.url(), &format!(", max_response_head: {limits}")).await;
        upstream.always(response(size, fields));
        assert_eq!(sidekey.get("/api/x").await.status, status, "{limits} {size} {fields}");
    }
}

#[tokio::test]
async fn max_response_head_holds_for_http2_upstreams() {
    let upstream = MockHttp2Upstream::plain().await;
    for (limits, size, status) in
        [("8KiB", 100, 200), ("8KiB", 40_000, 502), ("256KiB", 200_000, 200), ("256KiB", 300_000, 502)]
    {
        let more = format!(", protocol: http2, max_response_head: {limits}");
        let sidekey = sidekey_for_url(&upstream.url(), &more).await;
        assert_eq!(sidekey.get(&format!("/api/large/{size}")).await.status, status, "{limits} {size}");
    }
}
