//! `/livez`, `/readyz` and `/metrics` of the admin listener, and the `probe` command.

use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually,
};
use crate::suite::oauth2::setup::service;

/// Metrics that every Sidekey with an OAuth2 service has.
const SERIES: [&str; 14] = [
    "sidekey_requests_total",
    "sidekey_request_duration_seconds",
    "sidekey_requests_in_flight",
    "sidekey_upstream_response_headers_duration_seconds",
    "sidekey_request_errors_total",
    "sidekey_upstream_unauthorized_total",
    "sidekey_token_requests_total",
    "sidekey_token_request_duration_seconds",
    "sidekey_token_request_consecutive_failures",
    "sidekey_token_expiry_timestamp_seconds",
    "sidekey_token_last_success_timestamp_seconds",
    "sidekey_token_next_refresh_timestamp_seconds",
    "sidekey_credential_ready",
    "sidekey_build_info",
];

#[tokio::test]
async fn readyz_follows_token_state_and_livez_does_not() {
    let upstream = MockUpstream::plain().await;
    let endpoints = [MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await];
    endpoints[0].always(MockTokenResponse::html(503));
    endpoints[1].always(MockTokenResponse::error(401, "invalid_client"));
    let config = service("crm", &upstream, &endpoints[0], "", "")
        + &service("maps", &upstream, &endpoints[1], "", "readiness: never,")
        + &format!("mail: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}\n", upstream.url());
    let sidekey = Sidekey::serving(&config).start().await;
    let page = async |path: &str| Request::get(sidekey.admin_url(path)).send().await;
    let causes_known = async || !page("/readyz").await.text().contains("on its way");
    assert_eventually(TIMEOUT, "/readyz names the causes", causes_known).await;
    let response = page("/readyz").await;
    assert_eq!((response.status, response.header("cache-control")), (503, Some("no-store")));
    assert_eq!(
        response.text(),
        "not ready\n\
         crm: the token endpoint answered 503\n\
         maps (not required): the token endpoint answered 401 with error invalid_client: scripted invalid_client (sent with \
         `auth_method: client_secret_basic`: if client_id and client_secret are right, try `auth_method: client_secret_post`, or \
         `basic_auth_encoding: raw` if they have special characters)\n"
    );
    for path in ["/livez", "/healthz"] {
        assert_eq!((page(path).await.status, page(path).await.text().as_str()), (200, "ok\n"));
    }
    assert_eq!(sidekey.metric("sidekey_credential_ready", &[("service", "crm")]).await, Some(0.0));
    assert_eq!(sidekey.metric("sidekey_credential_ready", &[("service", "mail")]).await, Some(1.0));

    endpoints[0].always(MockTokenResponse::issue(3600));
    sidekey.ready().await;
    let text = page("/readyz").await.text();
    assert!(
        text.starts_with("ready\nmaps (not required): "),
        "an optional service does not hold it back: {text}"
    );
    assert_eq!(sidekey.metric("sidekey_credential_ready", &[("service", "crm")]).await, Some(1.0));
    assert_eq!(
        sidekey.metric("sidekey_token_request_consecutive_failures", &[("service", "crm")]).await,
        Some(0.0)
    );
}

#[tokio::test]
async fn metrics_page_has_every_documented_series() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = Sidekey::serving(&service("crm", &upstream, &endpoint, "", "")).start_ready().await;
    sidekey.get("/crm/").await;
    upstream.set_accepting(false);
    sidekey.get("/crm/").await;
    let text = sidekey.metrics().await;
    for name in SERIES {
        assert!(
            text.contains(&format!("# HELP {name} ")) && text.contains(&format!("\n{name}")),
            "{name} in {text}"
        );
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
}

#[tokio::test]
async fn probe_command_exit_code_follows_readyz() {
    let sidekey =
        Sidekey::serving("api: { upstream: 'http://127.0.0.1:1', auth: { type: bearer, token: t } }")
            .start_ready()
            .await;
    let admin = sidekey.admin_url("").trim_start_matches("http://").to_owned();
    for (arguments, code) in [
        (vec!["probe", "--admin", &admin], 0),
        (vec!["probe", "--admin", &admin, "/livez"], 0),
        (vec!["probe", "--admin", &admin, "/nothing"], 1),
        (vec!["probe", "--admin", &admin, "no path"], 1),
        (vec!["probe", "--admin", "127.0.0.1:1"], 1),
        (vec!["probe", "--admin", "nowhere"], 64),
    ] {
        let output = Sidekey::command(&arguments, &[]).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    }
}
