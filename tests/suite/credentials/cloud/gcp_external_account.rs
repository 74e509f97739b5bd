//! `type: gcp_external_account` against fakes of the other platform, of Google's token service, and of its IAM.

use serde_json::{Value, json};

use super::super::aws_sigv4;
use super::setup::{bearer, command, form, now, unsigned, why_not_ready};
use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Request, Sidekey, TIMEOUT, assert_eventually, jose_sign,
    jose_verify, openssl,
};

const AUDIENCE: &str =
    "//iam.googleapis.com/projects/17/locations/global/workloadIdentityPools/apps/providers/cluster";
const ACCOUNT: &str = "/v1/projects/-/serviceAccounts/reports@acme.iam.gserviceaccount.com";
const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The file, as gcloud writes it.
fn federation(source: &Value, more: &Value) -> String {
    let mut file = json!({
        "universe_domain": "googleapis.com", "type": "external_account", "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
    });
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    file.to_string()
}

/// Google's token service.
async fn sts() -> MockUpstream {
    let sts = MockUpstream::plain().await;
    sts.always(MockResponse::json(&json!({
        "access_token": "CANARY-federated", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer", "expires_in": 3599,
    })));
    sts
}

fn service(upstream: &MockUpstream, sts: &MockUpstream, keys: &str) -> String {
    format!(
        "api: {{ upstream: '{}', token_wait: 1s, auth: {{ type: gcp_external_account, credential_file: $DIR/federation.json, \
         token_url: '{}/v1/token', {keys} }} }}",
        upstream.url(),
        sts.url()
    )
}

fn assert_exchange(request: &RecordedRequest, scope: &str, subject: &str) {
    assert_eq!(
        (request.method.as_str(), request.path(), request.header("authorization")),
        ("POST", "/v1/token", None)
    );
    let expected = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", AUDIENCE),
        ("scope", scope),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token", subject),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    assert_eq!(form(request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn subject_token_of_a_file_is_read_for_each_exchange() {
    let (sts, upstream) = (sts().await, MockUpstream::plain().await);
    sts.next(MockResponse::json(
        &json!({ "access_token": "CANARY-short", "expires_in": 2, "token_type": "Bearer" }),
    ));
    let pem = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await;
    let claims =
        json!({ "iss": "https://cluster.example", "sub": "system:serviceaccount:apps:a", "aud": "x" });
    let first = jose_sign(&claims, &pem, "RS256", 600).await;
    let second = jose_sign(&claims, &pem, "RS256", 700).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, format!("{first}\n")).unwrap();
    let file = federation(&json!({ "file": token }), &json!({}));
    let sidekey = Sidekey::serving(&service(&upstream, &sts, ""))
        .file("federation.json", &file)
        .env("https_proxy", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .start_ready()
        .await;
    assert_eq!(sidekey.get("/api/v1").await.status, 200);
    assert_eq!(bearer(&upstream.last_request()), Some("CANARY-short"));
    std::fs::write(&token, &second).unwrap();
    let requests = sts.received(2).await;
    assert_exchange(&requests[0], CLOUD, &first);
    assert_exchange(&requests[1], CLOUD, &second);
    jose_verify(&form(&requests[1])[4].1, &pem, "RS256", &json!({ "issuer": "https://cluster.example" }))
        .await;
    let shown = sidekey.log() + &sidekey.metrics().await;
    assert!(!shown.contains("CANARY") && !shown.contains(&first) && !shown.contains(&second));
}

#[tokio::test]
async fn subject_token_may_be_a_member_of_json() {
    let (sts, upstream) = (sts().await, MockUpstream::plain().await);
    let source = json!({
        "file": "/proc/self/cwd/nothing", "format": { "type": "json", "subject_token_field_name": "id_token" },
    });
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token.json");
    std::fs::write(&token, "{\"access_token\":\"CANARY-other\",\"id_token\":\"a.b.c\"}").unwrap();
    let mut source = source;
    source["file"] = json!(token);
    let file = federation(&source, &json!({}));
    let keys = "scopes: [https://a.example/one, https://a.example/two]";
    let sidekey =
        Sidekey::serving(&service(&upstream, &sts, keys)).file("federation.json", &file).start_ready().await;
    assert_exchange(&sts.only_request(), "https://a.example/one https://a.example/two", "a.b.c");
    drop(sidekey);

    std::fs::write(&token, "{\"access_token\":\"CANARY-other\"}").unwrap();
    let sidekey =
        Sidekey::serving(&service(&upstream, &sts, keys)).file("federation.json", &file).start().await;
    let named = async || why_not_ready(&sidekey).await.contains("`subject_token_field_name`");
    assert_eventually(TIMEOUT, "the member is missing", named).await;
    assert_eq!(sts.request_count(), 1);
    assert!(!why_not_ready(&sidekey).await.contains("CANARY"));
    let expired = unsigned(json!({ "sub": "a" }), -300);
    std::fs::write(&token, json!({ "id_token": expired }).to_string()).unwrap();
    let named = async || why_not_ready(&sidekey).await.contains("it expired 5 min ago");
    assert_eventually(TIMEOUT, "the token has expired", named).await;
    assert_eq!(sts.request_count(), 1);
}

/// A virtual machine of Azure: its metadata service, with the field of the file.
#[tokio::test]
async fn subject_token_may_come_from_a_metadata_service() {
    let (sts, upstream, imds) = (sts().await, MockUpstream::plain().await, MockUpstream::plain().await);
    imds.respond_with(|request| match request.header("metadata") {
        Some("True") => {
            MockResponse::json(&json!({ "access_token": "of.the.machine", "expires_in": "3599" }))
        }
        _ => MockResponse::status(400),
    });
    let source = json!({
        "url": format!("{}/metadata/identity/oauth2/token?resource=api://pool", imds.url()),
        "headers": { "Metadata": "True" },
        "format": { "type": "json", "subject_token_field_name": "access_token" },
    });
    let file = federation(&source, &json!({}));
    let sidekey =
        Sidekey::serving(&service(&upstream, &sts, "")).file("federation.json", &file).start_ready().await;
    assert_exchange(&sts.only_request(), CLOUD, "of.the.machine");
    assert_eq!(imds.only_request().target, "/metadata/identity/oauth2/token?resource=api://pool");
    assert_eq!(sidekey.get("/api/v1").await.status, 200);
}

#[tokio::test]
async fn service_account_is_impersonated_with_the_federated_token() {
    for (keys, method, answer, expected) in [
        (
            "",
            ":generateAccessToken",
            json!({ "accessToken": "CANARY-of-the-account", "expireTime": end(1800) }),
            json!({ "scope": [CLOUD], "lifetime": "1800s" }),
        ),
        (
            "audience: 'https://reports-abc.a.run.app'",
            ":generateIdToken",
            json!({ "token": unsigned(json!({ "aud": "x" }), 1800) }),
            json!({ "audience": "https://reports-abc.a.run.app", "includeEmail": true }),
        ),
    ] {
        let (sts, iam, upstream) = (sts().await, MockUpstream::plain().await, MockUpstream::plain().await);
        let token = answer.get("accessToken").or(answer.get("token")).unwrap().as_str().unwrap().to_owned();
        iam.always(MockResponse::json(&answer));
        let more = json!({
            "service_account_impersonation_url": format!("https://iamcredentials.googleapis.com{ACCOUNT}:generateAccessToken"),
            "service_account_impersonation": { "token_lifetime_seconds": 1800 },
        });
        let folder = tempfile::tempdir().unwrap();
        let subject = folder.path().join("token");
        std::fs::write(&subject, "a.b.c").unwrap();
        let file = federation(&json!({ "file": subject }), &more);
        let keys = format!("impersonation_url: '{}{ACCOUNT}:generateAccessToken', {keys}", iam.url());
        let sidekey = Sidekey::serving(&service(&upstream, &sts, &keys))
            .file("federation.json", &file)
            .start_ready()
            .await;
        assert_exchange(&sts.only_request(), "https://www.googleapis.com/auth/iam", "a.b.c");
        let asked = iam.only_request();
        assert_eq!((asked.method.as_str(), asked.path()), ("POST", format!("{ACCOUNT}{method}").as_str()));
        assert_eq!(bearer(&asked), Some("CANARY-federated"));
        assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap(), expected);
        assert_eq!(sidekey.get("/api/v1").await.status, 200);
        assert_eq!(bearer(&upstream.only_request()), Some(token.as_str()));
        let until =
            sidekey.metric("sidekey_token_expiry_timestamp_seconds", &[("service", "api")]).await.unwrap();
        assert!((until - (now().as_secs_f64() + 1800.0)).abs() < 10.0, "{until}");
        assert!(!(sidekey.log() + &sidekey.metrics().await).contains("CANARY"));
    }
}

fn end(seconds: i64) -> String {
    let end = i64::try_from(now().as_secs()).unwrap() + seconds;
    chrono::DateTime::from_timestamp(end, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test]
async fn refusals_say_at_which_step_and_what_to_compare() {
    let oauth = |code: &str| {
        let body = json!({ "error": code, "error_description": format!("scripted {code}") }).to_string();
        MockResponse::status(400).body(body).header("Content-Type", "application/json")
    };
    let denied = json!({ "error": { "code": 403, "status": "PERMISSION_DENIED", "message":
        "Permission 'iam.serviceAccounts.getAccessToken' denied for CANARY-federated" } });
    for (from_sts, from_iam, said) in [
        (Some(oauth("invalid_grant")), None, "Compare the provider of the pool"),
        (Some(oauth("invalid_target")), None, "names no pool and provider"),
        (Some(oauth("unauthorized_client")), None, "attribute condition"),
        (None, Some(MockResponse::status(403).body(denied.to_string())), "Workload Identity User"),
        (None, Some(MockResponse::status(503)), "Google has an error"),
        (
            None,
            Some(MockResponse::json(&json!({ "accessToken": "CANARY" , "expireTime": "soon" }))),
            "Another server",
        ),
    ] {
        let (sts, iam, upstream) = (sts().await, MockUpstream::plain().await, MockUpstream::plain().await);
        if let Some(answer) = from_sts {
            sts.always(answer);
        }
        if let Some(answer) = from_iam {
            iam.always(answer);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("token"), "a.b.CANARY-subject").unwrap();
        std::fs::write(path("federation.json"), federation(&json!({ "file": path("token") }), &json!({})))
            .unwrap();
        let keys = format!("impersonation_url: '{}{ACCOUNT}:generateAccessToken'", iam.url());
        let service = service(&upstream, &sts, &keys).replace("$DIR", folder.path().to_str().unwrap());
        let (code, printed) = command(&["test", "api"], &service, &[]).await;
        assert!(code != 0 && printed.contains(said) && !printed.contains("CANARY"), "{said}: {printed}");
        assert_eq!(upstream.request_count(), 0);
    }
}

#[tokio::test]
async fn file_cannot_send_tokens_elsewhere() {
    let upstream = MockUpstream::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("federation.json");
    let service =
        format!("api: {{ upstream: '{}', auth: {{ type: gcp_external_account, KEYS }} }}", upstream.url());
    let checked = async |source: Value, more: Value, keys: &str| {
        std::fs::write(&file, federation(&source, &more)).unwrap();
        let variables = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())];
        command(&["check"], &service.replace("KEYS", keys), &variables).await
    };
    let token = json!({ "file": "/run/secrets/CANARY" });
    let none = json!({});
    let iam = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken";
    for (source, more, said) in [
        (
            &token,
            json!({ "token_url": "https://sts.evil.example/CANARY" }),
            "write `token_url` in the configuration",
        ),
        (
            &token,
            json!({ "token_url": "http://sts.googleapis.com/v1/token" }),
            "`token_url` is not `https://`",
        ),
        (
            &token,
            json!({ "token_url": "https://sts.googleapis.com.evil.example/" }),
            "not at a host of Google's",
        ),
        (
            &token,
            json!({ "service_account_impersonation_url": "https://evil.example/CANARY:generateAccessToken" }),
            "write `impersonation_url` in the configuration",
        ),
        (
            &token,
            json!({ "service_account_impersonation_url": iam.replace("AccessToken", "Nothing") }),
            "does not end in",
        ),
        (&json!({ "url": "http://evil.example/CANARY" }), none.clone(), "by `http://` from this machine"),
        (&json!({ "url": "https://evil.example/CANARY" }), none.clone(), "write `subject_token_host`"),
        (&json!({ "url": "file:///etc/CANARY" }), none.clone(), "keys and tokens are requested"),
        (&json!({ "executable": { "command": "/bin/CANARY" } }), none.clone(), "a command, which is not run"),
        (&json!({ "environment_id": "aws1" }), none.clone(), "write `aws` in the configuration"),
        (&json!({ "certificate": {} }), none.clone(), "a certificate"),
        (&json!({}), none.clone(), "neither one `file` nor one `url`"),
        (&token, json!({ "workforce_pool_user_project": "CANARY" }), "workforce pool"),
        (&token, json!({ "type": "service_account" }), "use `type: gcp_service_account`"),
        (&token, json!({ "audience": "" }), "it has no `audience`"),
        (
            &json!({ "url": "http://169.254.169.254/", "headers": { "Host": "evil.example" } }),
            none.clone(),
            "a field that cannot be sent",
        ),
        (
            &json!({ "url": "http://169.254.169.254/", "headers": { "X": "a\r\nY: CANARY" } }),
            none.clone(),
            "a field that cannot be sent",
        ),
    ] {
        let (code, printed) = checked(source.clone(), more.clone(), "").await;
        assert!(code == 78 && printed.contains(said) && !printed.contains("CANARY"), "{said}: {printed}");
    }
    for (source, more, keys) in [
        (&token, json!({ "service_account_impersonation_url": iam }), ""),
        (
            &token,
            json!({ "token_url": "https://sts.evil.example/" }),
            "token_url: 'https://sts.own.example/v1/token'",
        ),
        (&json!({ "url": "https://ci.example/token" }), none.clone(), "subject_token_host: ci.example"),
        (&json!({ "url": "http://169.254.169.254/metadata" }), none.clone(), ""),
    ] {
        let (code, printed) = checked(source.clone(), more, keys).await;
        assert_eq!(code, 0, "{printed}");
    }
    let (code, printed) = checked(token.clone(), none, "audience: 'https://a.run.app'").await;
    assert!(code == 78 && printed.contains("`audience` asks for an ID token"), "{printed}");
}

const VERIFICATION: &str = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

#[tokio::test]
async fn subject_token_of_aws_is_a_request_that_aws_accepts() {
    let (sts, upstream, aws) = (sts().await, MockUpstream::plain().await, MockUpstream::plain().await);
    let source = json!({
        "environment_id": "aws1", "region_url": "http://evil.example/CANARY", "url": "http://evil.example/CANARY",
        "regional_cred_verification_url": VERIFICATION,
    });
    let kind = "urn:ietf:params:aws:token-type:aws4_request";
    let file = federation(&source, &json!({ "subject_token_type": kind }));
    let (id, secret) = ("AKIDEXAMPLE", "s3cret-CANARY");
    let keys = format!(
        "aws: {{ region: eu-west-1, access_key_id: {id}, secret_access_key: {secret}, session_token: session-CANARY }}"
    );
    let sidekey =
        Sidekey::serving(&service(&upstream, &sts, &keys)).file("federation.json", &file).start_ready().await;
    assert_eq!(sidekey.get("/api/v1").await.status, 200);
    let exchange = form(&sts.only_request());
    let part = |name: &str| exchange.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(part("subject_token_type"), kind);
    let token =
        percent_encoding::percent_decode_str(&part("subject_token")).decode_utf8().unwrap().into_owned();
    let request: Value = serde_json::from_str(&token).unwrap();
    assert_eq!(request["url"], VERIFICATION.replace("{region}", "eu-west-1").replace(".com?", ".com/?"));
    assert_eq!(request["method"], "POST");
    let headers = request["headers"].as_array().unwrap();
    let header =
        |name: &str| headers.iter().find(|header| header["key"] == name).unwrap()["value"].as_str().unwrap();
    assert_eq!(header("host"), "sts.eu-west-1.amazonaws.com");
    assert_eq!(header("x-goog-cloud-target-resource"), AUDIENCE);
    // What Google does with it, and what AWS says of that.
    let verify = async |changed: Option<(&str, &str)>| {
        let url = format!("{}/?Action=GetCallerIdentity&Version=2011-06-15", aws.url());
        let sent = headers.iter().fold(Request::new("POST", url), |request, header| {
            let (name, value) = (header["key"].as_str().unwrap(), header["value"].as_str().unwrap());
            let value = changed.filter(|(known, _)| *known == name).map_or(value, |(_, value)| value);
            request.header(name, value)
        });
        assert_eq!(sent.send().await.status, 200);
        aws_sigv4::verify(&aws.last_request(), secret)
    };
    let signature = verify(None).await.unwrap();
    assert_eq!((signature.access_key_id.as_str(), signature.scope.as_str()), (id, "eu-west-1/sts"));
    for (name, value) in [
        ("x-goog-cloud-target-resource", "//iam.googleapis.com/another"),
        ("x-amz-security-token", "another"),
        ("host", "sts.us-east-1.amazonaws.com"),
    ] {
        assert!(verify(Some((name, value))).await.is_err(), "{name} is signed");
    }
    let shown = sidekey.log() + &sidekey.metrics().await;
    assert!(!shown.contains("CANARY") && !shown.contains("AWS4-HMAC"));
}

#[tokio::test]
async fn file_cannot_have_another_request_signed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("services.yaml");
    for (url, aws) in [
        ("https://iam.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15", true),
        ("https://sts.{region}.amazonaws.com?Action=AssumeRole&Version=2011-06-15", true),
        ("https://sts.{region}.amazonaws.com/x?Action=GetCallerIdentity&Version=2011-06-15", true),
        ("http://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15", true),
        ("https://sts.{region}.amazonaws.com.evil.example?Action=GetCallerIdentity&Version=2011-06-15", true),
        ("https://sts.us-east-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15", true),
        (VERIFICATION, false),
        (VERIFICATION, true),
    ] {
        let source = json!({ "environment_id": "aws1", "regional_cred_verification_url": url });
        let file = folder.path().join("federation.json");
        std::fs::write(&file, federation(&source, &json!({}))).unwrap();
        let aws = if aws {
            ", aws: { region: eu-west-1, access_key_id: a, secret_access_key: s3cret-CANARY }"
        } else {
            ""
        };
        let text = format!(
            "services: {{ api: {{ upstream: 'https://a.example', auth: {{ type: gcp_external_account, credential_file: '{}'{aws} }} }} }}",
            file.display()
        );
        std::fs::write(&config, text).unwrap();
        let output = Sidekey::command(&["check", config.to_str().unwrap()], &[]).await;
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let is_good = url == VERIFICATION && !aws.is_empty();
        assert!(output.status.success() == is_good && !printed.contains("CANARY"), "{url}: {printed}");
    }
}
