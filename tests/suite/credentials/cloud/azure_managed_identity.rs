//! `type: azure_managed_identity` against fakes of the two endpoints that Azure has for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::setup::{bearer, command, now, query, why_not_ready};
use crate::harness::{MockResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually};

const CLIENT: &str = "8f2c1d4e-5a0b-4b1c-9d2e-123456789abc";
const RESOURCE_ID: &str =
    "/subscriptions/0a/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/x";

/// A token as both endpoints state it: every number is text.
fn token(name: &str, seconds: u64) -> MockResponse {
    MockResponse::json(&json!({
        "access_token": format!("CANARY-{name}"), "client_id": CLIENT, "expires_in": seconds.to_string(),
        "expires_on": (now().as_secs() + seconds).to_string(), "not_before": now().as_secs().to_string(),
        "resource": "https://vault.azure.net", "token_type": "Bearer",
    }))
}

fn stated(status: u16, body: &Value) -> MockResponse {
    MockResponse::status(status)
        .body(body.to_string())
        .header("Content-Type", "application/json; charset=utf-8")
}

fn service(upstream: &MockUpstream, keys: &str) -> String {
    format!(
        "vault: {{ upstream: '{}', token_wait: 1s, auth: {{ type: azure_managed_identity, \
         scope: 'https://vault.azure.net/.default', {keys} }} }}",
        upstream.url()
    )
}

/// The metadata service of a virtual machine.
async fn machine() -> MockUpstream {
    let imds = MockUpstream::plain().await;
    let count = AtomicUsize::new(0);
    imds.respond_with(move |request| {
        if request.method != "GET" || request.path() != "/metadata/identity/oauth2/token" {
            return MockResponse::status(404);
        }
        if request.header("metadata") != Some("true") || request.header("x-forwarded-for").is_some() {
            return stated(400, &json!({ "error": "invalid_request", "error_description": "Required metadata header not specified" }));
        }
        token(&count.fetch_add(1, Ordering::Relaxed).to_string(), 86_399)
    });
    imds
}

fn at(imds: &MockUpstream) -> String {
    format!("url: '{}/metadata/identity/oauth2/token'", imds.url())
}

#[tokio::test]
async fn machine_is_asked_for_each_kind_of_identity() {
    for (keys, more) in [
        ("", None),
        ("client_id: 8f2c1d4e-5a0b-4b1c-9d2e-123456789abc", Some(("client_id", CLIENT))),
        (
            "object_id: 11111111-5a0b-4b1c-9d2e-123456789abc",
            Some(("object_id", "11111111-5a0b-4b1c-9d2e-123456789abc")),
        ),
        (&format!("resource_id: {RESOURCE_ID}"), Some(("msi_res_id", RESOURCE_ID))),
    ] {
        let (imds, upstream) = (machine().await, MockUpstream::plain().await);
        let service = service(&upstream, &format!("{}, {keys}", at(&imds)));
        // The proxy of the environment would see the token.
        let sidekey = Sidekey::serving(&service)
            .env("http_proxy", "http://127.0.0.1:1")
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .start_ready()
            .await;
        assert_eq!(sidekey.get("/vault/secrets").await.status, 200);
        assert_eq!(bearer(&upstream.only_request()), Some("CANARY-0"));
        let expected = [("api-version", "2018-02-01"), ("resource", "https://vault.azure.net")];
        let expected: Vec<_> = expected.into_iter().chain(more).collect();
        assert_eq!(
            query(&imds.only_request()),
            expected.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Vec<_>>()
        );
        let end =
            sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[("service", "vault")]).await.unwrap();
        assert!((end - (now().as_secs_f64() + 86_399.0)).abs() < 10.0, "{end}");
        let shown = sidekey.log() + &sidekey.metrics().await;
        assert!(!shown.contains("CANARY"));
    }
}

#[tokio::test]
async fn app_is_asked_at_its_own_endpoint_with_its_secret() {
    let (endpoint, upstream) = (MockUpstream::plain().await, MockUpstream::plain().await);
    endpoint.respond_with(|request| match request.header("x-identity-header") {
        Some("CANARY-of-the-app") if request.path() == "/msi/token/" => token("app", 3600),
        _ => stated(401, &json!({ "statusCode": 401, "message": "CANARY-of-the-app is not the one" })),
    });
    let sidekey = Sidekey::serving(&service(&upstream, &format!("resource_id: {RESOURCE_ID}")))
        .env("IDENTITY_ENDPOINT", &format!("{}/msi/token/", endpoint.url()))
        .env("IDENTITY_HEADER", "CANARY-of-the-app")
        .start_ready()
        .await;
    assert_eq!(sidekey.get("/vault/secrets").await.status, 200);
    assert_eq!(bearer(&upstream.only_request()), Some("CANARY-app"));
    let asked = endpoint.only_request();
    assert_eq!(asked.header("metadata"), None);
    let expected =
        [("api-version", "2019-08-01"), ("resource", "https://vault.azure.net"), ("mi_res_id", RESOURCE_ID)];
    assert_eq!(query(&asked), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert!(!(sidekey.log() + &sidekey.metrics().await).contains("CANARY"));

    let refused = Sidekey::serving(&service(&upstream, ""))
        .env("IDENTITY_ENDPOINT", &format!("{}/another/", endpoint.url()))
        .env("IDENTITY_HEADER", "CANARY-of-the-app")
        .start()
        .await;
    let named =
        async || why_not_ready(&refused).await.contains("the identity endpoint of the app answered 401");
    assert_eventually(TIMEOUT, "it is refused", named).await;
    assert!(!(refused.log() + &why_not_ready(&refused).await).contains("CANARY"), "{}", refused.log());
}

#[tokio::test]
async fn machine_that_is_updated_or_busy_is_asked_again() {
    for (answer, reason, said) in [
        (MockResponse::status(410), "server_error", "answered 410"),
        (MockResponse::status(404), "server_error", "answered 404"),
        (MockResponse::status(429).header("Retry-After", "1"), "rate_limited", "answered 429"),
        (MockResponse::status(503), "server_error", "answered 503"),
        (
            stated(400, &json!({ "error": "invalid_request", "error_description": "Identity not found" })),
            "refused",
            "answered 400 invalid_request: Identity not found",
        ),
        (MockResponse::ok("<html>"), "malformed", "no access_token"),
        (
            MockResponse::json(&json!({ "access_token": "CANARY x", "expires_in": "60" })),
            "malformed",
            "cannot be sent",
        ),
        (
            MockResponse::status(302).header("Location", "http://127.0.0.1:1/CANARY"),
            "malformed",
            "answered 302",
        ),
    ] {
        let (imds, upstream) = (MockUpstream::plain().await, MockUpstream::plain().await);
        imds.always(answer);
        let sidekey = Sidekey::serving(&service(&upstream, &at(&imds))).start().await;
        let labels = [("service", "vault"), ("result", "failure"), ("reason", reason)];
        let failed = async || sidekey.metric("sidekey_token_requests_total", &labels).await.is_some();
        assert_eventually(TIMEOUT, reason, failed).await;
        let page = why_not_ready(&sidekey).await;
        assert!(page.contains(said) && !page.contains("CANARY"), "{said}: {page}");
        assert_eq!(sidekey.get("/vault/x").await.status, 503);
        assert!(!sidekey.log().contains("CANARY"));
    }
    // It is asked again, and works.
    let (imds, upstream) = (MockUpstream::plain().await, MockUpstream::plain().await);
    imds.next(MockResponse::status(429).header("Retry-After", "1"));
    imds.always(token("late", 3600));
    let sidekey = Sidekey::serving(&service(&upstream, &at(&imds))).start_ready().await;
    assert_eq!(sidekey.get("/vault/x").await.status, 200);
}

#[tokio::test]
async fn token_that_the_api_rejects_is_requested_again() {
    let (imds, upstream) = (machine().await, MockUpstream::plain().await);
    upstream.respond_with(|request| match bearer(request) {
        Some("CANARY-1") => MockResponse::ok("granted"),
        _ => MockResponse::status(401),
    });
    let sidekey = Sidekey::serving(&service(&upstream, &at(&imds))).start_ready().await;
    assert_eq!(sidekey.get("/vault/x").await.text(), "granted");
    assert_eq!(imds.request_count(), 2);
}

#[tokio::test]
async fn what_the_environment_of_an_app_lacks_is_named() {
    let upstream = MockUpstream::plain().await;
    let service = service(&upstream, "");
    for (variables, said) in [
        (vec![("IDENTITY_ENDPOINT", "http://127.0.0.1:1/")], "IDENTITY_HEADER is not set"),
        (vec![("IDENTITY_HEADER", "CANARY")], "IDENTITY_ENDPOINT is not set"),
        (
            vec![("IDENTITY_HEADER", "CANARY"), ("IDENTITY_ENDPOINT", "http://identity.example/")],
            "by `http://` from this machine",
        ),
        (
            vec![
                ("IDENTITY_HEADER", "CANARY"),
                ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
                ("IDENTITY_SERVER_THUMBPRINT", "a"),
            ],
            "Service Fabric",
        ),
        (
            vec![("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"), ("IMDS_ENDPOINT", "http://127.0.0.1:2/")],
            "Azure Arc",
        ),
    ] {
        let (code, printed) = command(&["check"], &service, &variables).await;
        assert!(code == 78 && printed.contains(said) && !printed.contains("CANARY"), "{said}: {printed}");
    }
}

#[tokio::test]
async fn failure_and_rejection_are_explained() {
    let (imds, upstream) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let asked = Arc::new(AtomicUsize::new(0));
    let of_fake = asked.clone();
    imds.respond_with(move |_| match of_fake.fetch_add(1, Ordering::Relaxed) {
        0 => stated(400, &json!({ "error": "invalid_request", "error_description": "Identity not found" })),
        _ => token("t", 3600),
    });
    let service = service(&upstream, &at(&imds));
    let (code, printed) = command(&["test", "vault"], &service, &[]).await;
    assert!(code != 0 && printed.contains("Is an identity assigned to this machine or app"), "{printed}");
    for (status, said) in [(401, "Is `scope` that of this API?"), (403, "assign it a role")] {
        upstream.always(MockResponse::status(status));
        let (code, printed) = command(&["test", "vault", "/secrets"], &service, &[]).await;
        assert!(code != 0 && printed.contains(said) && !printed.contains("CANARY"), "{said}: {printed}");
    }
}
