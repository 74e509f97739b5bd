//! `proxy`: upstreams behind a proxy that supports CONNECT.

use crate::harness::{Http2, MockHttp2Upstream, MockUpstream, Pki, Tunnels};
use crate::suite::http::setup::{sidekey_for_url, sidekey_with_one_worker};

#[tokio::test]
async fn proxy_tunnel_carries_tls_and_resolves_the_name() {
    let pki = Pki::new();
    // No name server knows this name: only the proxy can resolve it.
    let upstream = MockUpstream::tls_with(pki.server(&["api.internal.invalid"])).await;
    let proxy = Tunnels::to(upstream.address(), Tunnels::OPEN).await;
    let more = format!(
        ", proxy: {{ url: 'http://{}', username: me, password: CANARY }}, tls: {{ ca_file: {} }}",
        proxy.address,
        pki.ca_file(),
    );
    let sidekey = sidekey_for_url("https://api.internal.invalid/v1", &more).await;
    for _ in 0..3 {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
    assert_eq!(
        *proxy.requests.lock(),
        ["CONNECT api.internal.invalid:443 HTTP/1.1\r\nHost: api.internal.invalid:443\r\n\
          Proxy-Authorization: Basic bWU6Q0FOQVJZ\r\n\r\n"],
        "one tunnel, which is reused"
    );
    let request = upstream.last_request();
    assert_eq!(request.header("host"), Some("api.internal.invalid"));
    assert_eq!(request.header("proxy-authorization"), None);
    assert_eq!(request.server_name.as_deref(), Some("api.internal.invalid"));
    assert!(!sidekey.log().contains("CANARY") && !sidekey.log().contains("bWU6Q0FOQVJZ"));
}

#[tokio::test]
async fn proxy_interim_responses_before_the_200_are_skipped() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    for answer in [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let proxy = Tunnels::to(upstream.address(), answer).await;
        let more =
            format!(", proxy: {{ url: 'http://{}' }}, tls: {{ ca_file: {} }}", proxy.address, pki.ca_file());
        let sidekey = sidekey_for_url("https://localhost/v1", &more).await;
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
}

#[tokio::test]
async fn proxy_tunnel_carries_http2_with_many_requests() {
    let pki = Pki::new();
    let upstream = MockHttp2Upstream::tls(&pki, &["h2", "http/1.1"]).await;
    for protocol in ["auto", "http2"] {
        let proxy = Tunnels::to(upstream.address(), Tunnels::OPEN).await;
        let more = format!(
            ", protocol: {protocol}, proxy: {{ url: 'http://{}' }}, tls: {{ ca_file: {} }}",
            proxy.address,
            pki.ca_file(),
        );
        let sidekey = sidekey_with_one_worker("https://localhost/v1", &more).await;
        let mut caller = Http2::open(sidekey.address()).await;
        let before = upstream.requests().len();
        for _ in 0..3 {
            assert_eq!(caller.get("/api/x").await.text(), "ok");
        }
        let requests = upstream.requests();
        assert_eq!(requests.len(), before + 3);
        for request in &requests[before..] {
            assert_eq!(request.uri.to_string(), "https://localhost/v1/x");
            assert_eq!(request.headers["authorization"], "Bearer t0ken");
        }
        assert_eq!(proxy.requests.lock().len(), 1, "one tunnel, which is shared");
        assert!(proxy.requests.lock()[0].starts_with("CONNECT localhost:443 HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn proxy_cannot_impersonate_the_upstream() {
    let (pki, other) = (Pki::new(), Pki::new());
    let upstream = MockUpstream::tls(&other).await;
    let proxy = Tunnels::to(upstream.address(), Tunnels::OPEN).await;
    let more =
        format!(", proxy: {{ url: 'http://{}' }}, tls: {{ ca_file: {} }}", proxy.address, pki.ca_file());
    let sidekey = sidekey_for_url("https://localhost", &more).await;
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_tls"));
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn proxy_refusal_of_tunnel_is_logged_with_cause() {
    let flood = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    for (answer, cause) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "the proxy requires credentials (407): set `proxy.username` and `proxy.password`",
        ),
        ("HTTP/1.1 403 Forbidden\r\nX: CANARY\r\n\r\n", "the proxy rejects the tunnel: status 403"),
        (&flood, "the proxy's response is too long"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "the server at `proxy.url` is not an HTTP proxy"),
        ("", "the proxy closed the connection without a response"),
    ] {
        let proxy = Tunnels::to(([127, 0, 0, 1], 1).into(), answer).await;
        let sidekey = sidekey_for_url(
            "https://api.example.com",
            &format!(", proxy: {{ url: 'http://{}' }}", proxy.address),
        )
        .await;
        assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_connect"));
        let message = format!(
            "request failed: no tunnel to api.example.com:443 through the proxy at {}: {cause}",
            proxy.address
        );
        sidekey.logged(&message).await;
        assert!(!sidekey.log().contains("CANARY"));
    }
}
