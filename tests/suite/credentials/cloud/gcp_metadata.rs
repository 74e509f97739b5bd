//! `type: gcp_metadata` against a fake of the metadata server.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::setup::{bearer, command, now, query, unsigned, why_not_ready};
use crate::harness::{MockResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually};

const BASE: &str = "/computeMetadata/v1/instance/service-accounts";
const ACCOUNT: &str = "reports@acme.iam.gserviceaccount.com";

/// The server: a number in each access token is that of its request.
async fn server() -> MockUpstream {
    let server = MockUpstream::plain().await;
    let count = AtomicUsize::new(0);
    server.respond_with(move |request| {
        if request.header("metadata-flavor") != Some("Google") || request.header("x-forwarded-for").is_some()
        {
            return MockResponse::status(403)
                .header("Metadata-Flavor", "Google")
                .body("Missing Metadata-Flavor:Google header.");
        }
        let path = request.path().to_owned();
        let answer = match path.strip_prefix(BASE) {
            Some("/default/token" | "/reports@acme.iam.gserviceaccount.com/token") => {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let token = format!("ya29.CANARY-{number}");
                MockResponse::json(
                    &json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }),
                )
            }
            Some("/default/identity") => {
                let audience = query(request).into_iter().find(|(name, _)| name == "audience").unwrap().1;
                MockResponse::ok(unsigned(
                    json!({ "aud": audience, "iss": "https://accounts.google.com" }),
                    3600,
                ))
            }
            _ => MockResponse::status(404).body("<html>Not Found</html>"),
        };
        answer.header("Metadata-Flavor", "Google").header("Server", "Metadata Server for VM")
    });
    server
}

fn service(upstream: &MockUpstream, keys: &str) -> String {
    format!(
        "api: {{ upstream: '{}', token_wait: 1s, auth: {{ type: gcp_metadata, {keys} }} }}",
        upstream.url()
    )
}

#[tokio::test]
async fn access_token_is_that_of_the_account_and_its_scopes() {
    let cloud = "https://www.googleapis.com/auth/cloud-platform";
    for (keys, path, scopes) in [
        ("", "/default/token", cloud),
        (
            "scopes: [https://a.example/one, https://a.example/two]",
            "/default/token",
            "https://a.example/one,https://a.example/two",
        ),
        (&format!("service_account: {ACCOUNT}"), &format!("/{ACCOUNT}/token"), cloud),
    ] {
        let (server, upstream) = (server().await, MockUpstream::plain().await);
        let host = server.url().replace("http://", "");
        let sidekey = Sidekey::serving(&service(&upstream, keys))
            .env("GCE_METADATA_HOST", &host)
            .env("http_proxy", "http://127.0.0.1:1")
            .start_ready()
            .await;
        assert_eq!(sidekey.get("/api/v1").await.status, 200);
        assert_eq!(bearer(&upstream.only_request()), Some("ya29.CANARY-0"));
        let asked = server.only_request();
        assert_eq!((asked.method.as_str(), asked.path()), ("GET", format!("{BASE}{path}").as_str()));
        assert_eq!(query(&asked), [("scopes".to_owned(), scopes.to_owned())]);
        assert!(!(sidekey.log() + &sidekey.metrics().await).contains("CANARY"));
    }
}

#[tokio::test]
async fn id_token_has_the_audience_and_its_own_end() {
    let (server, upstream) = (server().await, MockUpstream::plain().await);
    let keys = format!("audience: 'https://reports-abc.a.run.app', url: '{}'", server.url());
    let sidekey = Sidekey::serving(&service(&upstream, &keys)).start_ready().await;
    assert_eq!(sidekey.get("/api/v1").await.status, 200);
    let expected = [("audience", "https://reports-abc.a.run.app"), ("format", "full")];
    assert_eq!(query(&server.only_request()), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(bearer(&upstream.only_request()).unwrap().split('.').count(), 3);
    let end = sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[("service", "api")]).await.unwrap();
    assert!((end - (now().as_secs_f64() + 3600.0)).abs() < 10.0, "{end}");
}

#[tokio::test]
async fn another_server_is_not_taken_for_the_metadata_server() {
    let flavor = |answer: MockResponse| answer.header("Metadata-Flavor", "Google");
    let token = json!({ "access_token": "CANARY", "expires_in": 3599 });
    for (answer, reason, said) in [
        (MockResponse::json(&token), "malformed", "another server answers"),
        (MockResponse::status(302).header("Location", "/CANARY"), "malformed", "another server answers"),
        (flavor(MockResponse::status(302).header("Location", "/CANARY")), "malformed", "answered 302"),
        (flavor(MockResponse::status(404)), "refused", "it has no such service account"),
        (flavor(MockResponse::status(503)), "server_error", "answered 503"),
        (flavor(MockResponse::json(&json!({}))), "malformed", "no access_token"),
    ] {
        let (server, upstream) = (MockUpstream::plain().await, MockUpstream::plain().await);
        server.always(answer);
        let sidekey =
            Sidekey::serving(&service(&upstream, &format!("url: '{}'", server.url()))).start().await;
        let labels = [("service", "api"), ("result", "failure"), ("reason", reason)];
        let failed = async || sidekey.metric("sidekey_token_requests_total", &labels).await.is_some();
        assert_eventually(TIMEOUT, said, failed).await;
        let page = why_not_ready(&sidekey).await;
        assert!(page.contains(said) && !page.contains("CANARY"), "{said}: {page}");
        assert_eq!(sidekey.get("/api/x").await.status, 503);
    }
}

#[tokio::test]
async fn token_that_the_api_rejects_is_requested_again() {
    let (server, upstream) = (server().await, MockUpstream::plain().await);
    upstream.respond_with(|request| match bearer(request) {
        Some("ya29.CANARY-1") => MockResponse::ok("granted"),
        _ => MockResponse::status(401),
    });
    let sidekey =
        Sidekey::serving(&service(&upstream, &format!("url: '{}'", server.url()))).start_ready().await;
    assert_eq!(sidekey.get("/api/x").await.text(), "granted");
}

#[tokio::test]
async fn plaintext_to_another_machine_is_an_error() {
    let upstream = MockUpstream::plain().await;
    for host in ["metadata.example", "10.0.0.1:80", "127.0.0.1@evil.example"] {
        let (code, printed) =
            command(&["check"], &service(&upstream, ""), &[("GCE_METADATA_HOST", host)]).await;
        assert!(code == 78 && printed.contains("GCE_METADATA_HOST in the environment"), "{host}: {printed}");
    }
    for host in ["metadata.google.internal", "169.254.169.254", "127.0.0.1:8080", "[fd20:ce::254]"] {
        let (code, printed) =
            command(&["check"], &service(&upstream, ""), &[("GCE_METADATA_HOST", host)]).await;
        assert_eq!(code, 0, "{host}: {printed}");
    }
}

#[tokio::test]
async fn rejection_by_the_api_is_explained() {
    let (server, upstream) = (server().await, MockUpstream::plain().await);
    let service = service(&upstream, &format!("url: '{}'", server.url()));
    for (status, said) in [
        (401, "Cloud Run, Cloud Functions and IAP take an ID token"),
        (403, "names the permission that is missing"),
    ] {
        upstream.always(MockResponse::status(status));
        let (code, printed) = command(&["test", "api", "/v1"], &service, &[]).await;
        assert!(code != 0 && printed.contains(said) && !printed.contains("CANARY"), "{said}: {printed}");
    }
}
