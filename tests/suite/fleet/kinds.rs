//! Credentials other than OAuth2 tokens: each is requested once for the fleet, and the store shows nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::setup::{config, shared, start};
use crate::harness::{MockResponse, MockUpstream, RecordedRequest, Redis, assert_eventually, openssl};

const PROCESSES: usize = 4;
const WAIT: Duration = Duration::from_secs(30);
const ROLE: &str = "arn:aws:iam::123456789012:role/fleet";
const CLIENT: &str = "8f2c1d4e-5a0b-4b1c-9d2e-123456789abc";

const IMPERSONATION: &str = "/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken";

/// When a credential ends that was issued now.
fn end() -> String {
    let end = SystemTime::now() + Duration::from_secs(3600);
    chrono::DateTime::<chrono::Utc>::from(end).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The servers that issue credentials. A number in each of them is that of its request.
fn issue(request: &RecordedRequest, number: usize) -> MockResponse {
    let token = format!("at-CANARY-{number}");
    match request.path() {
        "/sts/" => MockResponse::ok(format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIACANARY{number}</AccessKeyId>\
             <SecretAccessKey>sk-CANARY-{number}</SecretAccessKey><SessionToken>st-CANARY-{number}</SessionToken>\
             <Expiration>{}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
            end()
        )),
        "/app/installations/1/access_tokens" => {
            let body = json!({ "token": token, "expires_at": end() });
            MockResponse::status(201).body(body.to_string()).header("Content-Type", "application/json")
        }
        "/azure" | "/tenant/oauth2/v2.0/token" => MockResponse::json(&json!({
            "access_token": token, "expires_in": "3600", "resource": "https://vault.azure.net", "token_type": "Bearer",
        })),
        "/computeMetadata/v1/instance/service-accounts/a@b.iam.gserviceaccount.com/token" => {
            let body = json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" });
            MockResponse::json(&body).header("Metadata-Flavor", "Google")
        }
        "/google" => {
            MockResponse::json(&json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
        }
        IMPERSONATION => MockResponse::json(&json!({ "accessToken": token, "expireTime": end() })),
        _ => MockResponse::status(404),
    }
}

/// Asserts that all processes with this credential send the same value in this field, which was requested once, and which the store
/// does not show. `issuer` counts the requests for it, if the credential is not made by a process itself, and has how many it takes.
async fn one_for_all(auth: &str, field: &str, issuer: Option<(&AtomicUsize, usize)>) {
    let (redis, upstream) = (Redis::start(&[]).await, MockUpstream::plain().await);
    let monitor = redis.monitor().await;
    let processes = start(&config(&shared(&redis), &upstream, auth), PROCESSES).await;
    let mut by = [0, 0];
    for process in &processes {
        process.ready().await;
        assert_eq!(process.get("/api/x").await.status, 200);
        for (sum, who) in by.iter_mut().zip(["self", "peer"]) {
            let count = process.metric("sidekey_shared_tokens_total", &[("by", who)]).await;
            *sum += usize::from(count.is_some_and(|count| count > 0.5));
        }
        assert!(!process.log().contains("CANARY"), "{}", process.log());
    }
    assert_eq!(by, [1, PROCESSES - 1], "{auth}");
    let sent = upstream.received(PROCESSES).await;
    let value = sent[0].header(field).unwrap().to_owned();
    assert!(sent.iter().all(|request| request.header(field) == Some(&value)), "{auth}");
    if let Some((issuer, requests)) = issuer {
        assert_eq!(issuer.load(Ordering::SeqCst), requests, "{auth}");
    }
    let (dump, seen) = (redis.dump().await, monitor.output());
    assert!(dump.len() > 200 && seen.contains("EVAL"), "{auth}");
    for text in [String::from_utf8_lossy(&dump).into_owned(), seen] {
        for secret in ["CANARY", "arn:aws", CLIENT, value.as_str()] {
            assert!(!text.contains(secret), "the store has {secret}: {auth}");
        }
    }
}

/// A server that issues credentials, and the number of requests to it.
async fn issuer() -> (MockUpstream, Arc<AtomicUsize>) {
    let (server, requests) = (MockUpstream::plain().await, Arc::new(AtomicUsize::new(0)));
    let count = requests.clone();
    server.respond_with(move |request| issue(request, count.fetch_add(1, Ordering::SeqCst)));
    (server, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn jwt_is_signed_once_for_the_fleet() {
    // Each signature with this algorithm is another one.
    let pem = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    std::fs::write(&file, pem).unwrap();
    let auth = format!("type: jwt, private_key: {{ file: '{}' }}, claims: {{ iss: CANARY }}", file.display());
    one_for_all(&auth, "authorization", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn github_app_has_one_token_for_the_fleet() {
    let pem = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    std::fs::write(&file, pem).unwrap();
    let (server, requests) = issuer().await;
    let auth = format!(
        "type: github_app, app_id: 1, private_key: {{ file: '{}' }}, installation_id: 1, api_url: '{}'",
        file.display(),
        server.url()
    );
    one_for_all(&auth, "authorization", Some((&requests, 1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_identities_have_one_credential_for_the_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "e30.e30.CANARY").unwrap();
    let token = token.display();
    for (auth, field) in [
        (
            format!(
                "type: aws_sigv4, service: s3, region: us-east-1, access_key_id: AKID, secret_access_key: CANARY, \
                 assume_role: {{ role_arn: '{ROLE}', sts_url: 'SERVER/sts/' }}"
            ),
            "x-amz-security-token",
        ),
        (
            format!(
                "type: aws_sigv4, service: s3, region: us-east-1, credentials: {{ from: web_identity, role_arn: '{ROLE}', \
                 token_file: '{token}', sts_url: 'SERVER/sts/' }}"
            ),
            "x-amz-security-token",
        ),
        (
            format!(
                "type: azure_managed_identity, scope: 'https://vault.azure.net/.default', client_id: {CLIENT}, url: 'SERVER/azure'"
            ),
            "authorization",
        ),
        (
            format!(
                "type: azure_workload_identity, scope: 'https://vault.azure.net/.default', client_id: {CLIENT}, tenant_id: tenant, \
                 token_file: '{token}', authority_host: 'SERVER'"
            ),
            "authorization",
        ),
        (
            "type: gcp_metadata, scopes: ['https://www.googleapis.com/auth/x'], service_account: a@b.iam.gserviceaccount.com, \
             url: 'SERVER'"
                .to_owned(),
            "authorization",
        ),
    ] {
        let (server, requests) = issuer().await;
        one_for_all(&auth.replace("SERVER", &server.url()), field, Some((&requests, 1))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_account_of_google_has_one_token_for_the_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pem = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await;
    let key = json!({
        "type": "service_account", "private_key_id": "key-17", "private_key": pem, "client_email": "a@CANARY.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    std::fs::write(path("key.json"), key.to_string()).unwrap();
    std::fs::write(path("token"), "e30.e30.CANARY").unwrap();
    let federation = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/CANARY", "credential_source": { "file": path("token") },
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
    });
    std::fs::write(path("federation.json"), federation.to_string()).unwrap();
    // The federation's requests: to the token service, and for the service account.
    for (auth, requests_of_one) in [
        (
            format!(
                "type: gcp_service_account, key_file: '{}', token_url: 'SERVER/google'",
                path("key.json").display()
            ),
            1,
        ),
        (
            format!(
                "type: gcp_external_account, credential_file: '{}', token_url: 'SERVER/google', impersonation_url: \
                 'SERVER{IMPERSONATION}'",
                path("federation.json").display()
            ),
            2,
        ),
    ] {
        let (server, requests) = issuer().await;
        one_for_all(
            &auth.replace("SERVER", &server.url()),
            "authorization",
            Some((&requests, requests_of_one)),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_key_of_a_role_is_replaced_once_for_the_fleet() {
    let (redis, upstream) = (Redis::start(&[]).await, MockUpstream::plain().await);
    let (server, requests) = issuer().await;
    let expired = |request: &RecordedRequest| request.header("x-amz-security-token") == Some("st-CANARY-0");
    let is_revoked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let revoked = is_revoked.clone();
    upstream.respond_with(move |request| {
        if revoked.load(Ordering::SeqCst) && expired(request) {
            return MockResponse::status(403).header("x-amzn-errortype", "ExpiredTokenException");
        }
        MockResponse::ok("an object")
    });
    let auth = format!(
        "type: aws_sigv4, service: s3, region: us-east-1, access_key_id: AKID, secret_access_key: CANARY, assume_role: {{ role_arn: \
         '{ROLE}', sts_url: '{}/sts/' }}",
        server.url()
    );
    let processes = start(&config(&shared(&redis), &upstream, &auth), PROCESSES).await;
    for process in &processes {
        process.ready().await;
        assert_eq!(process.get("/api/x").await.status, 200);
    }
    is_revoked.store(true, Ordering::SeqCst);
    for process in &processes {
        let works = async || process.get("/api/x").await.status == 200;
        assert_eventually(WAIT, "the key is replaced", works).await;
    }
    assert_eq!(requests.load(Ordering::SeqCst), 2, "the first one, and one for all rejections");
}
