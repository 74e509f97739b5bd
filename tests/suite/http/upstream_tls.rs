//! TLS to upstreams: the certificate is verified before a byte of the request is sent.

use super::setup::{RawServer, sidekey_for_url};
use crate::harness::{MockResponse, MockUpstream, Pki, Sidekey, TIMEOUT};

async fn sidekey_with_tls(upstream: &MockUpstream, url: &str, tls: &str) -> Sidekey {
    let port = upstream.address().port();
    sidekey_for_url(&format!("https://{url}:{port}"), &format!(", tls: {{ {tls} }}")).await
}

async fn assert_tls_rejected(upstream: &MockUpstream, url: &str, tls: &str) {
    let sidekey = sidekey_with_tls(upstream, url, tls).await;
    for _ in 0..2 {
        let response = sidekey.get("/api/x").await;
        assert_eq!((response.status, response.sidekey_error()), (502, Some("upstream_tls")), "{url} {tls}");
    }
    assert_eq!(upstream.request_count(), 0);
    assert!(upstream.handshakes().iter().all(Result::is_err), "{:?}", upstream.handshakes());
}

#[tokio::test]
async fn upstream_tls_accepts_trusted_certificate_for_host() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["localhost"])).await;
    let sidekey = sidekey_with_tls(&upstream, "localhost", &format!("ca_file: {}", pki.ca_file())).await;
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
    assert_eq!(upstream.only_request().server_name.as_deref(), Some("localhost"));
    let host = format!("localhost:{}", upstream.address().port());
    assert_eq!(upstream.only_request().header("host"), Some(host.as_str()));
}

#[tokio::test]
async fn upstream_tls_verifies_ip_address() {
    let pki = Pki::new();
    let ca = format!("ca_file: {}", pki.ca_file());
    let upstream = MockUpstream::tls_with(pki.server(&["127.0.0.1"])).await;
    assert_eq!(sidekey_with_tls(&upstream, "127.0.0.1", &ca).await.get("/api/x").await.status, 200);
    assert_eq!(upstream.only_request().server_name, None);
    assert_tls_rejected(&MockUpstream::tls_with(pki.server(&["127.0.0.2"])).await, "127.0.0.1", &ca).await;
    assert_tls_rejected(&MockUpstream::tls_with(pki.server(&["localhost"])).await, "127.0.0.1", &ca).await;
}

#[tokio::test]
async fn upstream_tls_server_name_overrides_host() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["api.example.com"])).await;
    let tls = format!("ca_file: {}, server_name: api.example.com", pki.ca_file());
    assert_eq!(sidekey_with_tls(&upstream, "127.0.0.1", &tls).await.get("/api/x").await.status, 200);
    assert_eq!(upstream.only_request().server_name.as_deref(), Some("api.example.com"));
    let other = MockUpstream::tls_with(pki.server(&["localhost", "127.0.0.1"])).await;
    assert_tls_rejected(&other, "127.0.0.1", &tls).await;
}

#[tokio::test]
async fn upstream_tls_rejects_wrong_certificates_without_request() {
    let (pki, other) = (Pki::new(), Pki::new());
    let ca = format!("ca_file: {}", pki.ca_file());
    assert_tls_rejected(&MockUpstream::tls_with(pki.server(&["elsewhere.example"])).await, "localhost", &ca)
        .await;
    assert_tls_rejected(&MockUpstream::tls_with(pki.expired_server(&["localhost"])).await, "localhost", &ca)
        .await;
    assert_tls_rejected(
        &MockUpstream::tls(&pki).await,
        "localhost",
        &format!("ca_file: {}", other.ca_file()),
    )
    .await;
    // The machine's own roots do not include that CA either.
    assert_tls_rejected(&MockUpstream::tls(&pki).await, "localhost", "").await;
}

#[tokio::test]
async fn upstream_tls_to_plain_server_is_upstream_tls_error() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url().replace("http://127.0.0.1", "https://localhost"), "").await;
    let answer = async {
        let mut wire = server.accept().await;
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        wire.rest().await
    };
    let (response, seen) = tokio::join!(sidekey.get("/api/x"), answer);
    assert_eq!(response.sidekey_error(), Some("upstream_tls"));
    assert!(!seen.contains("t0ken"));
}

#[tokio::test]
async fn upstream_tls_resumes_sessions_and_reuses_connections() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    let sidekey = sidekey_with_tls(&upstream, "localhost", &format!("ca_file: {}", pki.ca_file())).await;
    for _ in 0..3 {
        assert_eq!(sidekey.get("/api/x").await.status, 200);
    }
    assert_eq!(upstream.connections(), 1);
    upstream.cut_connections();
    crate::harness::assert_eventually(TIMEOUT, "it is closed", async || upstream.open_connections() == 0)
        .await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let kinds: Vec<_> = upstream.handshakes().into_iter().map(Result::unwrap).collect();
    assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
}

#[tokio::test]
async fn upstream_tls_connections_opened_at_once_resume_sessions() {
    const AT_ONCE: usize = 64;
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    upstream.always(MockResponse::ok("").close());
    let sidekey = sidekey_with_tls(&upstream, "localhost", &format!("ca_file: {}", pki.ca_file())).await;
    for _ in 0..4 {
        let responses = (0..AT_ONCE).map(|_| sidekey.get("/api/x"));
        for response in futures_util::future::join_all(responses).await {
            assert_eq!(response.status, 200);
        }
    }
    let kinds: Vec<_> = upstream.handshakes().into_iter().map(Result::unwrap).collect();
    let full = kinds.iter().filter(|kind| **kind == rustls::HandshakeKind::Full).count();
    assert!(kinds.len() == 4 * AT_ONCE && full <= AT_ONCE, "{full} of {} are full", kinds.len());
}
