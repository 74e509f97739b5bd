//! Where keys come from, each against a server of its own: STS, the metadata service, the endpoint of a container.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{SECRET, verify};
use crate::harness::{MockResponse, MockUpstream, RecordedRequest, Sidekey, TIMEOUT, assert_eventually};

const ROLE: &str = "arn:aws:iam::123456789012:role/app";

/// A service `api` with this identity.
fn service(name: &str, upstream: &MockUpstream, identity: &str) -> String {
    format!(
        "{name}: {{ upstream: '{}', auth: {{ type: aws_sigv4, service: s3, region: eu-west-1, {identity} }} }}\n",
        upstream.url()
    )
}

fn end(lifetime: Duration) -> String {
    let end = chrono::DateTime::<chrono::Utc>::from(SystemTime::now() + lifetime);
    end.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The answer of STS with the key `ASIA{name}`.
fn sts_key(name: &str, lifetime: Duration) -> MockResponse {
    MockResponse::ok(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\n\
         <AccessKeyId>ASIA{name}</AccessKeyId><SecretAccessKey>secret-of-{name}</SecretAccessKey>\n\
         <SessionToken>token-of-{name}//==</SessionToken><Expiration>{}</Expiration></Credentials></AssumeRoleResult>\n\
         </AssumeRoleResponse>",
        end(lifetime)
    ))
}

/// The answer of a metadata service with the key `ASIA{name}`.
fn json_key(name: &str, lifetime: Duration) -> MockResponse {
    MockResponse::json(&serde_json::json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": format!("ASIA{name}"),
        "SecretAccessKey": format!("secret-of-{name}"), "Token": format!("token-of-{name}//=="), "Expiration": end(lifetime),
    }))
}

/// The values of a form.
fn form(request: &RecordedRequest) -> Vec<(String, String)> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

fn field(request: &RecordedRequest, name: &str) -> Option<String> {
    form(request).into_iter().find(|(it, _)| it == name).map(|(_, value)| value)
}

/// Checks that the last request of the upstream is signed with the key of this name.
fn assert_signed_as(upstream: &MockUpstream, name: &str) {
    let signature = verify(&upstream.last_request(), &format!("secret-of-{name}")).unwrap();
    assert_eq!(signature.access_key_id, format!("ASIA{name}"));
    assert_eq!(signature.session_token, Some(format!("token-of-{name}//==")));
}

fn hour() -> Duration {
    Duration::from_secs(3600)
}

fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[tokio::test]
async fn web_identity_token_is_read_again_for_each_key() {
    let (upstream, sts) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    let token = file(&folder, "token", "first-token\n");
    sts.next(sts_key("first", Duration::from_secs(3)));
    sts.respond_with(|_| sts_key("second", hour()));
    let identity = format!("credentials: {{ from: web_identity, sts_url: '{}' }}", sts.url());
    let sidekey = Sidekey::serving(&service("api", &upstream, &identity))
        .env("AWS_ROLE_ARN", ROLE)
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap())
        .env("AWS_ROLE_SESSION_NAME", "pod-1")
        .start_ready()
        .await;
    fs::write(&token, "second-token").unwrap();
    assert_eq!(sidekey.get("/api/b/k").await.status, 200);
    assert_eventually(TIMEOUT, "the key is replaced before it ends", async || {
        assert_eq!(sidekey.get("/api/b/k").await.status, 200);
        sts.requests().len() == 2 && verify(&upstream.last_request(), "secret-of-second").is_ok()
    })
    .await;
    assert_signed_as(&upstream, "second");
    let requests = sts.requests();
    for (request, token) in requests.iter().zip(["first-token", "second-token"]) {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("authorization"), None, "this call is not signed");
        for (name, value) in [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", ROLE),
            ("RoleSessionName", "pod-1"),
            ("WebIdentityToken", token),
        ] {
            assert_eq!(field(request, name).as_deref(), Some(value), "{name}");
        }
    }
    let shown = sidekey.log() + &sidekey.metrics().await;
    for secret in ["secret-of", "token-of", "first-token", "second-token"] {
        assert!(!shown.contains(secret), "{secret}");
    }
    let requests = [("service", "api"), ("result", "success"), ("reason", "")];
    assert_eq!(sidekey.metric("sidekey_token_requests_total", &requests).await, Some(2.0));
}

#[tokio::test]
async fn role_is_assumed_by_a_signed_request() {
    let (upstream, sts) = (MockUpstream::plain().await, MockUpstream::plain().await);
    sts.respond_with(|request| match verify(request, SECRET) {
        Ok(signature) if signature.scope == "us-east-1/sts" => sts_key("role", hour()),
        other => MockResponse::status(403).body(format!("{other:?}")),
    });
    let identity = format!(
        "access_key_id: AKIDEXAMPLE, secret_access_key: {SECRET}, assume_role: {{ role_arn: '{ROLE}', external_id: 'a b', \
         session_name: sidekey-1, duration: 1h, sts_url: '{}', sts_region: us-east-1 }}",
        sts.url()
    );
    let sidekey = Sidekey::serving(&service("api", &upstream, &identity)).start_ready().await;
    assert_eq!(sidekey.get("/api/b/k").await.status, 200);
    assert_signed_as(&upstream, "role");
    let request = sts.last_request();
    for (name, value) in [
        ("Action", "AssumeRole"),
        ("RoleArn", ROLE),
        ("ExternalId", "a b"),
        ("RoleSessionName", "sidekey-1"),
        ("DurationSeconds", "3600"),
    ] {
        assert_eq!(field(&request, name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn role_request_is_signed_again_with_the_time_of_sts() {
    let (upstream, sts) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let there = SystemTime::now() + Duration::from_secs(7200);
    let date = httpdate::fmt_http_date(there);
    sts.next(
        MockResponse::status(403)
            .header("Date", &date)
            .body("<Error><Code>SignatureDoesNotMatch</Code></Error>"),
    );
    // The end is by the clock of STS.
    sts.next(sts_key("role", 3 * hour()).header("Date", &date));
    let identity = format!(
        "access_key_id: AKIDEXAMPLE, secret_access_key: {SECRET}, assume_role: {{ role_arn: '{ROLE}', sts_url: '{}' }}",
        sts.url()
    );
    let sidekey = Sidekey::serving(&service("api", &upstream, &identity)).start_ready().await;
    assert_eq!(sidekey.get("/api/b/k").await.status, 200);
    let times: Vec<_> = sts.requests().iter().map(|request| verify(request, SECRET).unwrap().time).collect();
    assert!(times.len() == 2 && times[0] < times[1], "{times:?}");
    let end = sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[("service", "api")]).await.unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(
        (3000.0..=3600.0).contains(&(end - now)),
        "an hour is left, whatever the clocks say: {}",
        end - now
    );
}

#[tokio::test]
async fn key_of_an_instance_is_fetched_by_version_2_alone() {
    let (upstream, imds) = (MockUpstream::plain().await, MockUpstream::plain().await);
    imds.respond_with(|request| {
        let has_token = request.header("x-aws-ec2-metadata-token") == Some("imds-token");
        match (request.method.as_str(), request.target.as_str()) {
            ("PUT", "/latest/api/token")
                if request.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() =>
            {
                MockResponse::ok("imds-token")
            }
            ("GET", "/latest/meta-data/iam/security-credentials/") if has_token => {
                MockResponse::ok("my-role\n")
            }
            ("GET", "/latest/meta-data/iam/security-credentials/my-role") if has_token => {
                json_key("role", hour())
            }
            _ => MockResponse::status(401),
        }
    });
    let identity = format!("credentials: {{ from: instance, url: '{}' }}", imds.url());
    let sidekey = Sidekey::serving(&service("api", &upstream, &identity)).start_ready().await;
    assert_eq!(sidekey.get("/api/b/k").await.status, 200);
    assert_signed_as(&upstream, "role");
    assert_eq!(imds.requests().len(), 3);
    assert!(!sidekey.log().contains("imds-token"));
}

#[tokio::test]
async fn silent_metadata_service_is_explained_and_version_1_is_not_used() {
    let (upstream, imds) = (MockUpstream::plain().await, MockUpstream::plain().await);
    // A hop limit of 1: the answer to the PUT does not reach a container.
    imds.respond_with(|request| match request.method.as_str() {
        "PUT" => MockResponse::never(),
        _ => json_key("version-1", hour()),
    });
    let identity = format!("credentials: {{ from: instance, url: '{}' }}", imds.url());
    let sidekey = Sidekey::serving(&service("api", &upstream, &identity)).start().await;
    let event = sidekey
        .logged_like("temporary key not obtained: the metadata service of the instance did not answer")
        .await;
    assert!(event["message"].as_str().unwrap().contains("hop limit"), "{event}");
    let response = sidekey.get("/api/b/k").await;
    assert_eq!((response.status, response.sidekey_error()), (503, Some("credential_unavailable")));
    assert!(imds.requests().iter().all(|request| request.method == "PUT") && upstream.requests().is_empty());
}

#[tokio::test]
async fn key_of_a_container_is_fetched_with_the_current_token() {
    let (upstream, agent) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    let token = file(&folder, "token", "first-token");
    agent.next(json_key("first", Duration::from_secs(3)));
    agent.respond_with(|_| json_key("second", hour()));
    let sidekey = Sidekey::serving(&service("api", &upstream, "credentials: { from: container }"))
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials?id=1", agent.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap())
        .start_ready()
        .await;
    fs::write(&token, "second-token\n").unwrap();
    assert_eventually(TIMEOUT, "the key is replaced before it ends", async || {
        assert_eq!(sidekey.get("/api/b/k").await.status, 200);
        agent.requests().len() == 2
    })
    .await;
    assert_eq!(sidekey.get("/api/b/k").await.status, 200);
    assert_signed_as(&upstream, "second");
    for (request, token) in agent.requests().iter().zip(["first-token", "second-token"]) {
        assert_eq!(
            (request.target.as_str(), request.header("authorization")),
            ("/v1/credentials?id=1", Some(token))
        );
    }
}

#[tokio::test]
async fn environment_and_profile_give_keys_and_a_changed_file_is_followed() {
    let upstream = MockUpstream::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let shared = file(
        &folder,
        "credentials",
        "[default]\naws_access_key_id = AKIAdefault\naws_secret_access_key = secret-of-default\n\
         [office]\naws_access_key_id = ASIAoffice\naws_secret_access_key = secret-of-office\naws_session_token = token-of-office//==\n",
    );
    let services = service("env", &upstream, "credentials: { from: environment }")
        + &service("default", &upstream, "credentials: { from: profile }")
        + &service(
            "office",
            &upstream,
            &format!("credentials: {{ from: profile, profile: office, file: '{}' }}", shared.display()),
        );
    let sidekey = Sidekey::serving(&services)
        .env("AWS_ACCESS_KEY_ID", "ASIAenv")
        .env("AWS_SECRET_ACCESS_KEY", "secret-of-env")
        .env("AWS_SESSION_TOKEN", "token-of-env//==")
        .env("AWS_SHARED_CREDENTIALS_FILE", shared.to_str().unwrap())
        .start_ready()
        .await;
    for name in ["env", "office"] {
        assert_eq!(sidekey.get(&format!("/{name}/b/k")).await.status, 200);
        assert_signed_as(&upstream, name);
    }
    assert_eq!(sidekey.get("/default/b/k").await.status, 200);
    let signature = verify(&upstream.last_request(), "secret-of-default").unwrap();
    assert_eq!((signature.access_key_id.as_str(), signature.session_token), ("AKIAdefault", None));

    let content = fs::read_to_string(&shared).unwrap().replace("office", "new");
    fs::write(&shared, content.replace("[new]", "[office]")).unwrap();
    assert_eventually(TIMEOUT, "the new key of the profile is used", async || {
        assert_eq!(sidekey.get("/office/b/k").await.status, 200);
        verify(&upstream.last_request(), "secret-of-new").is_ok()
    })
    .await;
    assert_signed_as(&upstream, "new");
}

#[tokio::test]
async fn half_a_key_is_an_error_and_no_other_is_used() {
    let upstream = MockUpstream::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let shared = file(
        &folder,
        "credentials",
        "[half]\naws_access_key_id = AKIAhalf\n[role]\nrole_arn = arn:aws:iam::1:role/r\n",
    );
    for (from, expected) in [
        ("from: environment", "AWS_SECRET_ACCESS_KEY is not set: half a key"),
        ("from: profile, profile: half", "has no complete key"),
        ("from: profile, profile: role", "it has `role_arn`, which is not followed"),
        ("from: profile, profile: none", "has no such profile"),
        ("from: web_identity", "AWS_ROLE_ARN is not set"),
        ("from: container", "`url` is required"),
    ] {
        let builder = Sidekey::serving(&service("api", &upstream, &format!("credentials: {{ {from} }}")));
        let builder = builder
            .env("AWS_ACCESS_KEY_ID", "AKIAhalf")
            .env("AWS_SHARED_CREDENTIALS_FILE", shared.to_str().unwrap());
        let (code, log) = builder.expect_start_failure().await;
        assert!(code != 0 && log.contains(expected), "{from}: {log}");
    }
}

#[tokio::test]
async fn accounts_are_kept_apart_in_one_process() {
    let (upstream, one, two) =
        (MockUpstream::plain().await, MockUpstream::plain().await, MockUpstream::plain().await);
    one.respond_with(|_| json_key("one", hour()));
    two.respond_with(|_| sts_key("two", hour()));
    let services = service(
        "one",
        &upstream,
        &format!("credentials: {{ from: container, url: '{}' }}", one.url()),
    ) + &service(
        "two",
        &upstream,
        &format!(
            "credentials: {{ from: container, url: '{}' }}, assume_role: {{ role_arn: '{ROLE}', sts_url: '{}' }}",
            one.url(),
            two.url()
        ),
    ) + &service(
        "three",
        &upstream,
        "access_key_id: ASIAthree, secret_access_key: secret-of-three, session_token: 'token-of-three//=='",
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    for _ in 0..3 {
        for name in ["one", "two", "three"] {
            assert_eq!(sidekey.get(&format!("/{name}/b/k")).await.status, 200);
            assert_signed_as(&upstream, name);
        }
    }
    // The role is assumed with the key of the container.
    let signature = verify(&two.last_request(), "secret-of-one").unwrap();
    assert_eq!(signature.session_token.as_deref(), Some("token-of-one//=="));
}

#[tokio::test]
async fn refused_role_is_explained_without_secrets() {
    let (upstream, sts) = (MockUpstream::plain().await, MockUpstream::plain().await);
    sts.respond_with(|request| {
        let token = field(request, "WebIdentityToken").unwrap();
        MockResponse::status(403).body(format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform \
             sts:AssumeRoleWithWebIdentity with {token}</Message></Error></ErrorResponse>"
        ))
    });
    let folder = tempfile::tempdir().unwrap();
    let token = file(&folder, "token", "CANARY-web-identity");
    let identity = format!(
        "credentials: {{ from: web_identity, role_arn: '{ROLE}', token_file: '{}', sts_url: '{}' }}",
        token.display(),
        sts.url()
    );
    let sidekey = Sidekey::serving(&service("api", &upstream, &identity)).start().await;
    sidekey.logged_like("temporary key refused: STS answered 403 AccessDenied: Not authorized").await;
    assert_eq!(sidekey.get("/api/b/k").await.status, 503);
    let view = crate::harness::Request::get(sidekey.admin_url("/api/v1/services")).send().await.text();
    assert!(view.contains("trust policy") && view.contains(&sts.url()), "{view}");
    assert!(!(sidekey.log() + &view).contains("CANARY"));
}

#[tokio::test]
async fn key_that_the_upstream_names_as_expired_is_replaced() {
    let (upstream, agent) = (MockUpstream::plain().await, MockUpstream::plain().await);
    agent.next(json_key("first", hour()));
    agent.respond_with(|_| json_key("second", hour()));
    let identity = format!("credentials: {{ from: container, url: '{}' }}", agent.url());
    let sidekey = Sidekey::serving(&service("api", &upstream, &identity)).start_ready().await;
    upstream.next(MockResponse::status(400).header("x-amzn-ErrorType", "ExpiredTokenException"));
    assert_eq!(sidekey.get("/api/b/k").await.status, 200);
    assert_signed_as(&upstream, "second");
    upstream.next(MockResponse::status(400).header("x-amzn-ErrorType", "ValidationException"));
    assert_eq!(sidekey.get("/api/b/k").await.status, 400);
    assert_eq!(agent.requests().len(), 2);
}
