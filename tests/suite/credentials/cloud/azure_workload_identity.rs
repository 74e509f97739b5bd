//! `type: azure_workload_identity` against a fake that holds the rules of Microsoft Entra ID for federated credentials.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::setup::{bearer, command, form, unsigned, why_not_ready};
use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Sidekey, TIMEOUT, assert_eventually, jose_sign, jose_verify,
    openssl,
};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const CLIENT: &str = "8f2c1d4e-5a0b-4b1c-9d2e-123456789abc";
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// Microsoft Entra ID: the number in each token is that of its request.
async fn entra() -> MockUpstream {
    let entra = MockUpstream::plain().await;
    let count = Mutex::new(0);
    entra.respond_with(move |request| {
        let expected = format!("/{TENANT}/oauth2/v2.0/token");
        if (request.method.as_str(), request.target.as_str()) != ("POST", &expected) {
            return stated(400, "invalid_request", "AADSTS90002: Tenant not found.");
        }
        *count.lock() += 1;
        let token =
            unsigned(json!({ "aud": "https://cognitiveservices.azure.com", "n": *count.lock() }), 3600);
        // Entra states the lifetime as a number, and that of an outage beside it.
        MockResponse::json(&json!({
            "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 86399, "access_token": token,
        }))
    });
    entra
}

fn stated(status: u16, code: &str, description: &str) -> MockResponse {
    let body = json!({ "error": code, "error_description": description, "error_codes": [7_000_215] });
    MockResponse::status(status)
        .body(body.to_string())
        .header("Content-Type", "application/json; charset=utf-8")
}

fn service(upstream: &MockUpstream, keys: &str) -> String {
    format!(
        "openai: {{ upstream: '{}', token_wait: 1s, auth: {{ type: azure_workload_identity, scope: '{SCOPE}', {keys} }} }}",
        upstream.url()
    )
}

/// What the webhook of AKS sets.
fn variables(entra: &MockUpstream, token_file: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AZURE_TENANT_ID", TENANT.to_owned()),
        ("AZURE_CLIENT_ID", CLIENT.to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", token_file.to_owned()),
        ("AZURE_AUTHORITY_HOST", format!("{}/", entra.url())),
    ]
}

async fn key() -> String {
    openssl("genrsa -traditional 2048").await
}

/// The token of a service account, as the cluster signs it.
async fn workload_token(key: &str, name: &str) -> String {
    let claims = json!({
        "iss": "https://eastus.oic.prod-aks.azure.com/x/", "aud": "api://AzureADTokenExchange",
        "sub": format!("system:serviceaccount:apps:{name}"),
    });
    jose_sign(&claims, key, "RS256", 600).await
}

fn names(request: &RecordedRequest) -> Vec<String> {
    form(request).into_iter().map(|(name, _)| name).collect()
}

fn value(request: &RecordedRequest, name: &str) -> String {
    form(request).into_iter().find(|(it, _)| it == name).unwrap().1
}

#[tokio::test]
async fn workload_identity_is_what_the_environment_says() {
    let (entra, upstream) = (entra().await, MockUpstream::plain().await);
    let key = key().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("azure-identity-token");
    std::fs::write(&file, workload_token(&key, "one").await).unwrap();
    let mut builder = Sidekey::serving(&service(&upstream, ""));
    for (name, value) in variables(&entra, file.to_str().unwrap()) {
        builder = builder.env(name, &value);
    }
    // The app's proxy is not that of token requests.
    let builder = builder.env("HTTP_PROXY", "http://127.0.0.1:1").env("http_proxy", "http://127.0.0.1:1");
    let sidekey = builder.start_ready().await;
    assert_eq!(sidekey.get("/openai/deployments").await.status, 200);
    let request = entra.only_request();
    assert_eq!(
        names(&request),
        ["grant_type", "scope", "client_id", "client_assertion_type", "client_assertion"]
    );
    for (name, expected) in [
        ("grant_type", "client_credentials"),
        ("scope", SCOPE),
        ("client_id", CLIENT),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ] {
        assert_eq!(value(&request, name), expected);
    }
    let options =
        json!({ "audience": "api://AzureADTokenExchange", "subject": "system:serviceaccount:apps:one" });
    jose_verify(&value(&request, "client_assertion"), &key, "RS256", &options).await;

    // A new file and a token that the API does not take: the next request has the new file, and the caller gets a 200.
    std::fs::write(&file, workload_token(&key, "two").await).unwrap();
    let first = bearer(&upstream.last_request()).unwrap().to_owned();
    upstream.respond_with(move |request| match bearer(request) {
        Some(token) if token != first => MockResponse::ok("granted"),
        _ => MockResponse::status(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\""),
    });
    let granted = async || sidekey.get("/openai/deployments").await.text() == "granted";
    assert_eventually(TIMEOUT, "the request is sent again with a new token", granted).await;
    let options = json!({ "subject": "system:serviceaccount:apps:two" });
    jose_verify(&value(&entra.last_request(), "client_assertion"), &key, "RS256", &options).await;

    let labels = [("service", "openai"), ("result", "success"), ("reason", "")];
    assert_eq!(sidekey.metric("sidekey_token_requests_total", &labels).await, Some(2.0));
    let shown = sidekey.log() + &sidekey.metrics().await;
    assert!(!shown.contains("CANARY") && !shown.contains(&value(&request, "client_assertion")));
}

#[tokio::test]
async fn what_the_environment_lacks_is_named() {
    let upstream = MockUpstream::plain().await;
    let service = service(&upstream, "");
    let (code, printed) = command(&["check"], &service, &[]).await;
    assert_eq!(code, 78, "{printed}");
    for name in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"] {
        assert!(printed.contains(&format!("the environment variable {name} is not set")), "{printed}");
    }
    assert!(printed.contains("azure.workload.identity/use: \"true\""), "{printed}");
    let variables = [
        ("AZURE_TENANT_ID", "not/a/tenant"),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/azure-identity-token"),
        ("AZURE_AUTHORITY_HOST", "http://login.example.com/"),
    ];
    let (code, printed) = command(&["check"], &service, &variables).await;
    assert_eq!(code, 78, "{printed}");
    for said in [
        "AZURE_TENANT_ID in the environment",
        "the file /nonexistent/azure-identity-token",
        "AZURE_AUTHORITY_HOST in the environment: `http://` would send the credential unencrypted",
    ] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
}

#[tokio::test]
async fn refusal_of_entra_says_what_to_compare() {
    for (answer, said) in [
        (
            stated(401, "invalid_client", "AADSTS700213: No matching federated identity record found"),
            "Compare the federated credential",
        ),
        (
            stated(400, "unauthorized_client", "AADSTS700016: Application not found"),
            "compare `client_id` and `tenant_id`",
        ),
        (
            stated(400, "invalid_scope", "AADSTS70011: The scope is not valid"),
            "`scope` is unknown in this tenant",
        ),
        (
            stated(400, "invalid_resource", "AADSTS500011: The resource principal was not found"),
            "The tenant has no such API (AADSTS500011)",
        ),
        (
            stated(400, "invalid_request", "AADSTS90002: Tenant not found"),
            "Compare `tenant_id` and `client_id`",
        ),
        (MockResponse::status(503), "Microsoft has an error"),
        (MockResponse::ok("<html>"), "Another server answers there"),
    ] {
        let (entra, upstream) = (MockUpstream::plain().await, MockUpstream::plain().await);
        entra.always(answer);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, unsigned(json!({ "sub": "a" }), 600)).unwrap();
        let keys = format!(
            "tenant_id: {TENANT}, client_id: {CLIENT}, token_file: '{}', authority_host: '{}'",
            file.display(),
            entra.url()
        );
        let (code, printed) = command(&["test", "openai"], &service(&upstream, &keys), &[]).await;
        assert_ne!(code, 0);
        assert!(printed.contains(said) && !printed.contains("CANARY"), "{said}: {printed}");
        assert_eq!(upstream.request_count(), 0);
    }
}

#[tokio::test]
async fn rejection_by_the_api_is_explained() {
    let (entra, upstream) = (entra().await, MockUpstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, unsigned(json!({ "sub": "a" }), 600)).unwrap();
    let variables = variables(&entra, file.to_str().unwrap());
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let message = |text: &str| json!({ "error": { "code": "CANARY", "message": text } }).to_string();
    let role =
        message("The principal `CANARY` lacks the required data action `a` to perform `GET /` operation.");
    let host =
        message("Please provide a custom subdomain for token authentication, otherwise API key is required.");
    for (status, body, said) in [
        (
            401,
            "",
            &[
                "Is `scope` that of this API?",
                "Has the identity a role",
                "same tenant",
                "If a clock is wrong",
            ][..],
        ),
        (403, "", &["rejects the token, or does not allow the request", "assign it a role"][..]),
        (401, &role, &["says `lacks the required data action`: The token is good"][..]),
        (
            400,
            &host,
            &["says `Please provide a custom subdomain`: `upstream` must be the host of the resource"][..],
        ),
    ] {
        upstream.always(MockResponse::status(status).body(body));
        let (code, printed) =
            command(&["test", "openai", "/deployments"], &service(&upstream, ""), &variables).await;
        assert_ne!(code, 0);
        for said in said {
            assert!(printed.contains(said), "{said}: {printed}");
        }
        assert!(
            printed.contains("aud: https://cognitiveservices.azure.com") && !printed.contains("CANARY"),
            "{printed}"
        );
    }
}

/// A reload with another scope leads to another token, which is the only one that is sent from then on.
#[tokio::test]
async fn new_scope_is_requested_without_a_restart() {
    let (entra, upstream) = (entra().await, MockUpstream::plain().await);
    let keys = format!(
        "tenant_id: {TENANT}, client_id: {CLIENT}, token_file: $DIR/token, authority_host: '{}'",
        entra.url()
    );
    let services = service(&upstream, &keys);
    let token = unsigned(json!({ "sub": "a" }), 600);
    let sidekey = Sidekey::serving(&services).file("token", &token).start_ready().await;
    assert_eq!(sidekey.get("/openai/x").await.status, 200);
    let first = bearer(&upstream.last_request()).unwrap().to_owned();
    sidekey.reconfigure(&Sidekey::configuration_serving(
        &services.replace(SCOPE, "https://vault.azure.net/.default"),
    ));
    assert!(sidekey.reload().await);
    entra.received(2).await;
    assert_eq!(value(&entra.last_request(), "scope"), "https://vault.azure.net/.default");
    let served = async || sidekey.get("/openai/x").await.status == 200;
    assert_eventually(TIMEOUT, "the new token is there", served).await;
    assert_ne!(bearer(&upstream.last_request()), Some(first.as_str()));
}

#[tokio::test]
async fn token_file_that_vanishes_keeps_the_token_in_use() {
    let (entra, upstream) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let lifetime = Arc::new(Mutex::new(3));
    let of_fake = lifetime.clone();
    entra.respond_with(move |_| {
        MockResponse::json(&json!({ "access_token": "CANARY", "expires_in": *of_fake.lock() }))
    });
    let keys = format!(
        "tenant_id: {TENANT}, client_id: {CLIENT}, token_file: $DIR/token, authority_host: '{}'",
        entra.url()
    );
    let token = unsigned(Value::Object(serde_json::Map::new()), 600);
    let sidekey = Sidekey::serving(&service(&upstream, &keys)).file("token", &token).start_ready().await;
    std::fs::remove_file(sidekey.dir().join("token")).unwrap();
    let named = async || why_not_ready(&sidekey).await.contains("client_assertion (file ");
    assert_eventually(TIMEOUT, "the file is named", named).await;
    *lifetime.lock() = 3600;
    sidekey.write("token", &token);
    sidekey.ready().await;
    assert_eq!(sidekey.get("/openai/x").await.status, 200);
}
