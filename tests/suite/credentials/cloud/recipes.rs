//! The recipes of docs/CONFIGURATION.md, run as they stand: only the servers and the paths in them are those of the test.

use serde_json::{Value, json};

use super::setup::{bearer, command, unsigned};
use crate::harness::{MockResponse, MockUpstream, Pki, Request, Sidekey, SidekeyBuilder, openssl};

/// The first configuration in the section of a kind.
fn recipe(kind: &str) -> Value {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section =
        page.split_once(&format!("\n### `type: {kind}`\n")).unwrap().1.split("\n### ").next().unwrap();
    let snippet = section.split_once("```yaml\n").unwrap().1.split("```").next().unwrap();
    serde_yaml::from_str(snippet).unwrap()
}

/// On another machine, such as that of a pull request, there is neither a file nor a variable.
#[tokio::test]
async fn recipes_are_checked_where_the_platform_is_not() {
    for kind in [
        "azure_workload_identity",
        "azure_managed_identity",
        "gcp_service_account",
        "gcp_metadata",
        "gcp_external_account",
        "kubernetes",
    ] {
        for auth in [recipe(kind)["auth"].clone(), minimal(kind)] {
            let service = format!("api: {}", json!({ "upstream": "https://api.example", "auth": auth }));
            let (code, printed) = command(&["check", "--without-secrets"], &service, &[]).await;
            assert_eq!(code, 0, "{auth}: {printed}");
        }
    }
}

/// A credential that has nothing but what is required, and an ID token if that is possible.
fn minimal(kind: &str) -> Value {
    let mut auth = json!({ "type": kind });
    if kind.starts_with("azure") {
        auth["scope"] = json!("api://a/.default");
    } else if kind.starts_with("gcp") {
        auth["audience"] = json!("https://a.run.app");
    }
    auth
}

/// A server that gives this token in each form that a platform has.
async fn platform() -> MockUpstream {
    let platform = MockUpstream::plain().await;
    platform.respond_with(|request| {
        let is_identity = request.path().ends_with("/identity");
        let token = unsigned(json!({ "aud": "x" }), 3600);
        let members = json!({
            "access_token": token, "id_token": token, "expires_in": 3600, "token_type": "Bearer",
        });
        let answer = if is_identity { MockResponse::ok(token) } else { MockResponse::json(&members) };
        answer.header("Metadata-Flavor", "Google")
    });
    platform
}

/// Starts the recipe of a kind with another upstream, calls it, and checks what the upstream got and what the admin API shows.
async fn run(
    kind: &str,
    mut service: Value,
    upstream: &MockUpstream,
    builder: impl FnOnce(SidekeyBuilder) -> SidekeyBuilder,
) {
    service["upstream"] = json!(upstream.url());
    let services = format!("api: {service}");
    let sidekey = builder(Sidekey::serving(&services)).start_ready().await;
    assert_eq!(sidekey.get("/api/api/v1/namespaces/shop/pods/x").await.status, 200, "{kind}");
    let token = bearer(&upstream.only_request()).expect("a bearer token").to_owned();
    assert_eq!(token.split('.').count(), 3, "{kind}");
    let shown = Request::get(sidekey.admin_url("/api/v1/services/api")).send().await.json();
    assert_eq!((&shown["kind"], &shown["ready"]), (&json!(kind), &json!(true)), "{shown}");
    assert!(shown["token"]["endpoint"].is_string(), "the page says who gives the token: {shown}");
    assert!(!shown.to_string().contains(&token), "{kind}");
}

#[tokio::test]
async fn recipes_of_azure_run() {
    let (platform, upstream) = (platform().await, MockUpstream::plain().await);
    run("azure_workload_identity", recipe("azure_workload_identity"), &upstream, |builder| {
        let file = builder.dir().join("token");
        builder
            .file("token", &unsigned(json!({ "sub": "a" }), 600))
            .env("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())
            .env("AZURE_TENANT_ID", "72f988bf-86f1-41af-91ab-2d7cd011db47")
            .env("AZURE_CLIENT_ID", "8f2c1d4e-5a0b-4b1c-9d2e-123456789abc")
            .env("AZURE_AUTHORITY_HOST", &platform.url())
    })
    .await;
    let upstream = MockUpstream::plain().await;
    run("azure_managed_identity", recipe("azure_managed_identity"), &upstream, |builder| {
        builder.env("IDENTITY_ENDPOINT", &platform.url()).env("IDENTITY_HEADER", "secret-of-the-app")
    })
    .await;
}

#[tokio::test]
async fn recipes_of_google_run() {
    let (platform, upstream) = (platform().await, MockUpstream::plain().await);
    let pem = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await;
    let key = json!({ "type": "service_account", "client_email": "a@b", "private_key": pem, "private_key_id": "k" });
    let mut service = recipe("gcp_service_account");
    assert_eq!(service["auth"]["key_file"], "/run/secrets/google.json");
    service["auth"]["key_file"] = json!("$DIR/key.json");
    service["auth"]["token_url"] = json!(platform.url());
    run("gcp_service_account", service, &upstream, |builder| builder.file("key.json", &key.to_string()))
        .await;

    let upstream = MockUpstream::plain().await;
    let host = platform.url().replace("http://", "");
    run("gcp_metadata", recipe("gcp_metadata"), &upstream, |builder| builder.env("GCE_METADATA_HOST", &host))
        .await;

    let upstream = MockUpstream::plain().await;
    let mut service = recipe("gcp_external_account");
    assert_eq!(service["auth"]["credential_file"], "/etc/sidekey/google-federation.json");
    service["auth"]["credential_file"] = json!("$DIR/federation.json");
    service["auth"]["token_url"] = json!(platform.url());
    run("gcp_external_account", service, &upstream, |builder| {
        // As gcloud writes it in the recipe, but without a service account.
        let federation = json!({
            "type": "external_account", "audience": "//iam.googleapis.com/x", "token_url": "https://sts.googleapis.com/v1/token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": { "file": builder.dir().join("google"), "format": { "type": "text" } },
        });
        builder.file("google", "a.b.c").file("federation.json", &federation.to_string())
    })
    .await;
}

/// By TLS, with the CA of the cluster in the place that the recipe names.
#[tokio::test]
async fn recipe_of_kubernetes_runs() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    let mut service = recipe("kubernetes");
    assert_eq!(service["tls"]["ca_file"], "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
    service["tls"]["ca_file"] = json!(pki.ca_file());
    service["auth"]["token_file"] = json!("$DIR/token");
    let token = unsigned(json!({ "sub": "system:serviceaccount:shop:chat" }), 3600);
    run("kubernetes", service, &upstream, |builder| builder.file("token", &token)).await;
}
