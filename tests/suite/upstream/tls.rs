//! `tls` of a service and of a token endpoint: client certificates, trusted CAs, and changes of their files.

use std::sync::Arc;

use rustls::{HandshakeKind, ServerConfig};
use serde_json::json;

use crate::harness::{MockResponse, MockUpstream, Nginx, Pki, Sidekey, TIMEOUT, assert_eventually};
use crate::suite::http::setup::said;
use crate::suite::reload::setup::watched;

const NAMES: &[&str] = &["localhost", "127.0.0.1"];

/// A Sidekey with a service for each name and its keys of `tls`; `client.pem` and `client.key` are those of
/// `client`.
async fn services(upstream: &MockUpstream, client: &(String, String), services: &[(&str, &str)]) -> Sidekey {
    let service = |(name, tls): &(&str, &str)| {
        let url = upstream.url();
        format!("{name}: {{ upstream: '{url}', auth: {{ type: bearer, token: t0ken }}, tls: {{ {tls} }} }}\n")
    };
    Sidekey::configured(&watched(&services.iter().map(service).collect::<String>()))
        .file("client.pem", &client.0)
        .file("client.key", &client.1)
        .start()
        .await
}

async fn close_connections(upstream: &MockUpstream) {
    upstream.cut_connections();
    assert_eventually(TIMEOUT, "the connections are closed", async || upstream.open_connections() == 0).await;
}

const CLIENT_CERT: &str = "cert_file: $DIR/client.pem, key_file: $DIR/client.key";

async fn upstream_requiring_client_cert(pki: &Pki, clients: &Pki) -> MockUpstream {
    MockUpstream::tls_with(pki.server_for(NAMES, clients)).await
}

#[tokio::test]
async fn upstream_tls_sends_configured_client_certificate() {
    let (pki, clients) = (Pki::new(), Pki::named("clients"));
    let upstream = upstream_requiring_client_cert(&pki, &clients).await;
    let ca = format!("ca_file: {}", pki.ca_file());
    let mine = format!("{ca}, {CLIENT_CERT}");
    let sidekey = services(&upstream, &clients.client_pem("me"), &[("with", &mine), ("without", &ca)]).await;
    assert_eq!(sidekey.get("/with/x").await.status, 200);
    let refused = sidekey.get("/without/x").await;
    assert_eq!((refused.status, refused.sidekey_error()), (502, Some("upstream_tls")));
    assert_eq!(upstream.request_count(), 1);
    said(&sidekey, "it wants a client certificate (`tls.cert_file`, `tls.key_file`)").await;
}

#[tokio::test]
async fn upstream_tls_client_certificate_is_accepted_by_nginx() {
    let (pki, clients) = (Pki::new(), Pki::named("clients"));
    let server = "ssl_verify_client optional; ssl_client_certificate $DIR/clients.pem;
        location = /me { if ($ssl_client_verify != SUCCESS) { return 403; } return 200 $ssl_client_serial; }";
    let ca = clients.ca_pem();
    let nginx =
        Nginx::https(&pki, "", server, async |dir| std::fs::write(dir.join("clients.pem"), ca).unwrap())
            .await;
    let (certificate, key) = clients.client_pem("me");
    let (url, ca) = (nginx.url(), pki.ca_file());
    let service = |name: &str, more: &str| {
        format!(
            "{name}: {{ upstream: '{url}', auth: {{ type: bearer, token: t }}, tls: {{ ca_file: {ca}{more} }} }}\n"
        )
    };
    let sidekey = Sidekey::serving(&(service("with", &format!(", {CLIENT_CERT}")) + &service("without", "")))
        .file("client.pem", &certificate)
        .file("client.key", &key)
        .start()
        .await;
    let with = sidekey.get("/with/me").await;
    assert_eq!(with.status, 200, "{}", with.text());
    assert!(with.text().len() > 8, "a serial number: {}", with.text());
    assert_eq!(sidekey.get("/without/me").await.status, 403);
}

#[tokio::test]
async fn upstream_tls_reloads_valid_client_certificate_only() {
    let (pki, old, new) = (Pki::new(), Pki::named("old"), Pki::named("new"));
    let upstream = upstream_requiring_client_cert(&pki, &new).await;
    let mine = format!("ca_file: {}, {CLIENT_CERT}", pki.ca_file());
    let sidekey = services(&upstream, &old.client_pem("me"), &[("api", &mine)]).await;
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_tls"));

    let (certificate, key) = new.client_pem("me");
    sidekey.write("client.key", &key);
    sidekey.write("client.pem", &certificate);
    assert_eventually(TIMEOUT, "the new one is used", async || sidekey.get("/api/x").await.status == 200)
        .await;

    sidekey.write("client.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eventually(TIMEOUT, "the log names the cause", async || {
        sidekey.log().contains("the changed ones are tried again: tls.cert_file: the file")
    })
    .await;
    close_connections(&upstream).await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let (other, _) = new.client_pem("somebody else");
    sidekey.write("client.pem", &other);
    assert_eventually(TIMEOUT, "the log names the cause", async || {
        sidekey.log().contains("the key does not match the first certificate in `cert_file`")
    })
    .await;
    close_connections(&upstream).await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn upstream_tls_ca_change_ends_session_resumption() {
    let (pki, other) = (Pki::new(), Pki::named("other"));
    let upstream = MockUpstream::tls(&pki).await;
    let (url, auth) = (upstream.url(), "auth: { type: bearer, token: t }");
    let sidekey = Sidekey::configured(&watched(&format!(
        "api: {{ upstream: '{url}', {auth}, tls: {{ ca_file: $DIR/ca.pem }} }}"
    )))
    .file("ca.pem", &pki.ca_pem())
    .start()
    .await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    // Distrusted from now on: a session from before must not be resumed.
    sidekey.write("ca.pem", &other.ca_pem());
    assert_eventually(TIMEOUT, "the old CA is not trusted any more", async || {
        close_connections(&upstream).await;
        sidekey.get("/api/x").await.sidekey_error() == Some("upstream_tls")
    })
    .await;
    upstream.change_certificate(other.server(NAMES));
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}

#[tokio::test]
async fn upstream_tls_sessions_are_shared_by_equal_settings_only() {
    let (pki, clients) = (Pki::new(), Pki::named("clients"));
    let upstream = upstream_requiring_client_cert(&pki, &clients).await;
    let ca = format!("ca_file: {}", pki.ca_file());
    let mine = format!("{ca}, {CLIENT_CERT}");
    let newer = format!("{mine}, min_version: \"1.3\"");
    let all = [("one", mine.as_str()), ("same", mine.as_str()), ("other", newer.as_str())];
    let sidekey = services(&upstream, &clients.client_pem("me"), &all).await;
    for service in ["one", "one", "same", "other", "one", "other"] {
        assert_eq!(sidekey.get(&format!("/{service}/x")).await.status, 200);
        close_connections(&upstream).await;
    }
    let kinds: Vec<_> = upstream.handshakes().into_iter().map(Result::unwrap).collect();
    let (full, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
    assert_eq!(kinds, [full, resumed, resumed, full, resumed, resumed]);
}

async fn response_of(server: Arc<ServerConfig>, tls: &str) -> (u16, Sidekey) {
    let upstream = MockUpstream::tls_with(server).await;
    let sidekey = services(&upstream, &(String::new(), String::new()), &[("api", tls)]).await;
    (sidekey.get("/api/x").await.status, sidekey)
}

#[tokio::test]
async fn upstream_tls_min_version_rejects_older_versions() {
    let pki = Pki::new();
    let ca = format!("ca_file: {}", pki.ca_file());
    let old = || pki.tls12_server(NAMES);
    assert_eq!(response_of(old(), &ca).await.0, 200);
    assert_eq!(response_of(old(), &format!("{ca}, min_version: \"1.2\"")).await.0, 200);
    assert_eq!(response_of(old(), &format!("{ca}, min_version: \"1.3\"")).await.0, 502);
    assert_eq!(response_of(pki.server(NAMES), &format!("{ca}, min_version: \"1.3\"")).await.0, 200);
}

#[tokio::test]
async fn upstream_tls_insecure_skip_verify_warns() {
    let pki = Pki::new();
    let wrong = || pki.expired_server(&["elsewhere.example"]);
    assert_eq!(response_of(wrong(), "insecure_skip_verify: false").await.0, 502);
    let (status, sidekey) = response_of(wrong(), "insecure_skip_verify: true").await;
    assert_eq!(status, 200);
    let warning = sidekey.events().into_iter().find(|event| {
        event["level"] == "WARN" && event["config.path"] == "services.api.tls.insecure_skip_verify"
    });
    assert!(warning.is_some(), "{}", sidekey.log());
    let config = sidekey.dir().join("sidekey.yaml");
    let check = Sidekey::command(&["check", "--config", config.to_str().unwrap()], &[]).await;
    assert!(String::from_utf8_lossy(&check.stderr).contains("THE SERVER IS NOT VERIFIED"), "{check:?}");
}

#[tokio::test]
async fn token_endpoint_tls_reloads_client_certificate() {
    let (pki, old, new) = (Pki::new(), Pki::named("old"), Pki::named("new"));
    let endpoint = upstream_requiring_client_cert(&pki, &new).await;
    endpoint.respond_with(|_| {
        MockResponse::json(&json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 }))
    });
    let upstream = MockUpstream::plain().await;
    let (certificate, key) = old.client_pem("me");
    let sidekey = Sidekey::configured(&watched(&format!(
        "api: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}/token', \
         client_id: me, client_secret: s, tls: {{ ca_file: {}, {CLIENT_CERT} }} }} }}",
        upstream.url(),
        endpoint.url(),
        pki.ca_file(),
    )))
    .file("client.pem", &certificate)
    .file("client.key", &key)
    .start()
    .await;
    assert_eventually(TIMEOUT, "the wrong one is rejected", async || !endpoint.handshakes().is_empty()).await;
    assert_eq!(endpoint.request_count(), 0);
    let (certificate, key) = new.client_pem("me");
    sidekey.write("client.key", &key);
    sidekey.write("client.pem", &certificate);
    sidekey.ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
}
