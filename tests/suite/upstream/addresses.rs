//! Upstreams with several addresses, and the log if none of them can be reached.

use crate::harness::{MockUpstream, Pki, RefusingPort};
use crate::suite::http::setup::{said, sidekey_for_url};

#[tokio::test]
async fn upstream_address_that_refuses_is_skipped() {
    let upstream = MockUpstream::plain().await;
    let port = upstream.address().port();
    for resolve in
        ["[127.0.0.2, 127.0.0.1]", "['::1', 127.0.0.1]", "[127.0.0.3, '::1', 127.0.0.2, 127.0.0.1]"]
    {
        let more = format!(", allow_plaintext: true, resolve: {resolve}");
        let sidekey = sidekey_for_url(&format!("http://api.example.com:{port}"), &more).await;
        assert_eq!(sidekey.get("/api/x").await.status, 200, "{resolve}");
        let host = format!("api.example.com:{port}");
        assert_eq!(upstream.last_request().header("host"), Some(host.as_str()));
    }
}

#[tokio::test]
async fn upstream_resolve_keeps_the_verified_name() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["api.example.com"])).await;
    let url = format!("https://api.example.com:{}", upstream.address().port());
    let more = format!(", resolve: 127.0.0.1, tls: {{ ca_file: {} }}", pki.ca_file());
    assert_eq!(sidekey_for_url(&url, &more).await.get("/api/x").await.status, 200);
    assert_eq!(upstream.only_request().server_name.as_deref(), Some("api.example.com"));
}

#[tokio::test]
async fn upstream_connect_failure_logs_addresses_and_cause() {
    let port = RefusingPort::new();
    let more = ", allow_plaintext: true, resolve: [127.0.0.1, 127.0.0.2]";
    let url = format!("http://api.example.com:{}", port.address.port());
    let sidekey = sidekey_for_url(&url, more).await;
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_connect"));
    let port = port.address.port();
    let cause = format!(
        "request failed: cannot connect to api.example.com: 127.0.0.1:{port}: Connection refused, \
         127.0.0.2:{port}: Connection refused"
    );
    sidekey.logged(&cause).await;

    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    let sidekey = sidekey_for_url(&upstream.url(), "").await;
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_tls"));
    let cause = format!(
        "request failed: TLS with localhost ({}) failed: invalid peer certificate: UnknownIssuer; its CA is not \
         trusted: `tls.ca_file` sets another",
        upstream.address(),
    );
    sidekey.logged(&cause).await;
}

#[tokio::test]
async fn upstream_unknown_name_is_logged() {
    let sidekey = sidekey_for_url("https://nowhere.invalid", "").await;
    assert_eq!(sidekey.get("/api/x").await.status, 502);
    said(&sidekey, "request failed: cannot resolve nowhere.invalid: ").await;
}
