//! `HTTP_PROXY` and similar variables are for the app, and often name Sidekey itself: no request of Sidekey
//! uses them.

use crate::harness::{MockTokenEndpoint, MockUpstream, Pki, Sidekey};
use crate::suite::oauth2::setup::service;

#[tokio::test]
async fn proxy_of_the_environment_is_not_used() {
    let pki = Pki::new();
    let (proxy, upstream) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let (plain, tls) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::tls(&pki).await);
    let trust = format!("tls: {{ ca_file: '{}' }}, ", pki.ca_file());
    let config = service("a", &upstream, &plain, "", "") + &service("b", &upstream, &tls, &trust, "");
    let mut builder = Sidekey::serving(&config);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        builder = builder.env(name, &proxy.url());
    }
    let sidekey = builder.start_ready().await;
    assert_eq!(sidekey.get("/a/").await.status, 200);
    assert_eq!(sidekey.get("/b/").await.status, 200);
    assert_eq!(proxy.connections(), 0);
}
