//! AWS's own clients through Sidekey, with a placeholder key, at services that verify signatures.

use std::fs;

use crate::harness::{Curl, MockUpstream, Moto, Pki, Sidekey, TIMEOUT, assert_eventually};

const KEYS: [&str; 7] = ["plain", "JULY 27 TO 31.zip", "mac@2x.png", "x_$folder$", "a+b=c&d", "ሴ/é", "100%"];

/// The services `s3` and `sqs`, with this identity.
fn services(moto: &Moto, identity: &str) -> String {
    let service = |name: &str| {
        format!(
            "{name}: {{ upstream: '{}', tls: {{ ca_file: '{}' }}, auth: {{ type: aws_sigv4, service: {name}, region: eu-west-1, \
             {identity} }} }}\n",
            moto.url(),
            moto.ca_file()
        )
    };
    service("s3") + &service("sqs")
}

fn key(moto: &Moto) -> String {
    let (id, secret) = (moto.part("access_key_id"), moto.part("secret_access_key"));
    format!("access_key_id: '{id}', secret_access_key: '{secret}'")
}

#[tokio::test]
async fn boto3_and_the_cli_work_with_a_placeholder_key() {
    let pki = Pki::new();
    let moto = Moto::start(&pki).await;
    let wrong = format!("{}:wrong", moto.part("access_key_id"));
    let signed = ["--aws-sigv4", "aws:amz:eu-west-1:s3", "--user", &wrong, "--cacert", moto.ca_file()];
    let direct = Curl::call(&[&signed[..], &[&format!("{}/bucket", moto.url())]].concat(), b"").await;
    assert_eq!(direct.status, 403, "the server verifies signatures: {}", direct.text());
    let sidekey = Sidekey::serving(&services(&moto, &key(&moto))).start_ready().await;
    let (s3, sqs) = (sidekey.url("/s3"), sidekey.url("/sqs"));
    let results = moto.boto3(&s3, &sqs).await;
    assert_eq!(results, serde_json::json!({ "s3": "ok", "sqs": "a message" }));

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    // Large enough for several parts.
    fs::write(file("large"), vec![b'y'; 9_000_000]).unwrap();
    for object in ["s3://bucket/large", "s3://bucket/with space@.bin"] {
        moto.cli(&s3, &["s3", "cp", "--only-show-errors", &file("large"), object]).await;
        moto.cli(&s3, &["s3", "cp", "--only-show-errors", object, &file("again")]).await;
        assert_eq!(fs::read(file("again")).unwrap().len(), 9_000_000);
    }
    let list = moto.cli(&s3, &["s3", "ls", "--recursive", "s3://bucket/"]).await;
    assert!(list.contains("9000000 large") && list.contains("with space@.bin"), "{list}");
    let secret = moto.part("secret_access_key");
    assert!(!sidekey.log().contains(secret) && !sidekey.metrics().await.contains(secret));
}

#[tokio::test]
async fn boto3_works_with_buckets_in_the_host() {
    let pki = Pki::new();
    let moto = Moto::start(&pki).await;
    let service = format!(
        "s3: {{ upstream: 'https://*.s3.eu-west-1.amazonaws.com:{}', resolve: 127.0.0.1, tls: {{ ca_file: '{}' }}, \
         auth: {{ type: aws_sigv4, service: s3, region: eu-west-1, {} }} }}\n",
        moto.port(),
        moto.ca_file(),
        key(&moto)
    );
    let sidekey = Sidekey::serving(&service).start_ready().await;
    let results = moto.boto3_by_host(&sidekey.url("")).await;
    assert_eq!(results, serde_json::json!({ "bucket": "ok", "second": "ok" }));
    let secret = moto.part("secret_access_key");
    assert!(!sidekey.log().contains(secret) && !sidekey.metrics().await.contains("bucket.s3"));
}

#[tokio::test]
async fn sdks_of_node_and_go_work_with_a_placeholder_key() {
    let pki = Pki::new();
    let moto = Moto::start(&pki).await;
    let sidekey = Sidekey::serving(&services(&moto, &key(&moto))).start_ready().await;
    let s3 = sidekey.url("/s3");
    let expected = "ok\n".repeat(KEYS.len());
    assert_eq!(moto.node(&s3, &KEYS).await, expected);
    assert_eq!(moto.go(&s3, &KEYS).await, expected);
}

#[tokio::test]
async fn role_of_sts_signs_requests() {
    let pki = Pki::new();
    let moto = Moto::start(&pki).await;
    // STS by a service of Sidekey's own: a source of keys has the roots of the machine.
    let relay = format!(
        "relay: {{ upstream: '{}', tls: {{ ca_file: '{}' }}, auth: {{ type: aws_sigv4, service: sts, region: eu-west-1, {} }} }}\n",
        moto.url(),
        moto.ca_file(),
        key(&moto)
    );
    let front = Sidekey::serving(&relay).start_ready().await;
    let identity = format!(
        "{}, assume_role: {{ role_arn: '{}', sts_url: '{}' }}",
        key(&moto),
        moto.part("role_arn"),
        front.url("/relay/")
    );
    let sidekey = Sidekey::serving(&services(&moto, &identity)).start_ready().await;
    let results = moto.boto3(&sidekey.url("/s3"), &sidekey.url("/sqs")).await;
    assert_eq!(results, serde_json::json!({ "s3": "ok", "sqs": "a message" }));
}

#[tokio::test]
async fn secret_of_secrets_manager_is_read_and_rotated() {
    let pki = Pki::new();
    let (moto, upstream) = (Moto::start(&pki).await, MockUpstream::plain().await);
    // STS for the role, and the API for the CLI, by services of a Sidekey of their own.
    let service = |name: &str| {
        format!(
            "{name}: {{ upstream: '{}', tls: {{ ca_file: '{}' }}, auth: {{ type: aws_sigv4, service: {name}, region: eu-west-1, {} }} }}\n",
            moto.url(),
            moto.ca_file(),
            key(&moto)
        )
    };
    let front = Sidekey::serving(&(service("sts") + &service("secretsmanager"))).start_ready().await;
    let store = |name: &str, more: &str| {
        format!(
            "  {name}: {{ type: aws_secrets_manager, region: eu-west-1, url: '{}', tls: {{ ca_file: '{}' }}, refresh_interval: 1s, \
             {}{more} }}\n",
            moto.url(),
            moto.ca_file(),
            key(&moto)
        )
    };
    let role = format!(
        ", assume_role: {{ role_arn: '{}', sts_url: '{}' }}",
        moto.part("role_arn"),
        front.url("/sts/")
    );
    let stores = store("user", "") + &store("role", &role);
    let bearer = |name: &str| {
        format!(
            "{name}: {{ upstream: '{}', auth: {{ type: bearer, token: {{ aws_secrets_manager: {{ id: prod/crm, field: token, \
             store: {name} }} }} }} }}\n",
            upstream.url()
        )
    };
    let services = Sidekey::configuration_serving(&(bearer("user") + &bearer("role")));
    let sidekey = Sidekey::configured(&format!("secret_stores:\n{stores}{services}")).start_ready().await;
    let sends = async |token: &str| {
        for name in ["user", "role"] {
            let is_sent = async || {
                assert_eq!(sidekey.get(&format!("/{name}/x")).await.status, 200);
                upstream.last_request().header("authorization") == Some(&format!("Bearer {token}"))
            };
            assert_eventually(TIMEOUT, &format!("{name} sends {token}"), is_sent).await;
        }
    };
    sends("one").await;
    let put = [
        "secretsmanager",
        "put-secret-value",
        "--secret-id",
        "prod/crm",
        "--secret-string",
        r#"{"token": "two"}"#,
    ];
    moto.cli(&front.url("/secretsmanager/"), &put).await;
    sends("two").await;
    assert!(!sidekey.log().contains(moto.part("secret_access_key")));
}
