//! `type: gcp_external_account` with a command in its file, which is run only if the environment allows it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::setup::{command, form, now, why_not_ready};
use crate::harness::{MockResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually};

const AUDIENCE: &str =
    "//iam.googleapis.com/projects/17/locations/global/workloadIdentityPools/apps/providers/ci";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ALLOWED_BY: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";

/// A file of a federation, its command, and what the command leaves behind.
struct Stage {
    dir: TempDir,
    sts: MockUpstream,
    iam: MockUpstream,
    upstream: MockUpstream,
}

impl Stage {
    /// `script` is what the command does, after it has noted that it was run.
    async fn new(script: &str, executable: Value) -> Self {
        let [sts, iam, upstream] =
            [MockUpstream::plain().await, MockUpstream::plain().await, MockUpstream::plain().await];
        sts.always(MockResponse::json(
            &json!({ "access_token": "CANARY-federated", "token_type": "Bearer", "expires_in": 3599 }),
        ));
        let end =
            chrono::DateTime::from_timestamp(i64::try_from(now().as_secs()).unwrap() + 3600, 0).unwrap();
        iam.always(MockResponse::json(&json!({
            "accessToken": "CANARY-of-the-account", "expireTime": end.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        })));
        let stage = Self { dir: tempfile::tempdir().unwrap(), sts, iam, upstream };
        let program = stage.path("token.sh");
        let text = format!("#!/bin/sh\necho \"$*\" >> '{}'\n{script}\n", stage.path("runs").display());
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut executable = executable;
        executable["command"] = json!(format!("{} --for  ci", program.display()));
        let file = json!({
            "type": "external_account", "audience": AUDIENCE, "subject_token_type": JWT,
            "token_url": "https://sts.googleapis.com/v1/token", "credential_source": { "executable": executable },
        });
        std::fs::write(stage.path("federation.json"), file.to_string()).unwrap();
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn runs(&self) -> Vec<String> {
        let runs = std::fs::read_to_string(self.path("runs")).unwrap_or_default();
        runs.lines().map(str::to_owned).collect()
    }

    fn service(&self) -> String {
        format!(
            "api: {{ upstream: '{}', token_wait: 1s, auth: {{ type: gcp_external_account, credential_file: '{}', token_url: \
             '{}/v1/token', impersonation_url: '{}/v1/projects/-/serviceAccounts/reports@acme.example:generateAccessToken' }} }}",
            self.upstream.url(),
            self.path("federation.json").display(),
            self.sts.url(),
            self.iam.url()
        )
    }
}

/// An answer of the command.
fn answer(fields: &str) -> String {
    format!("echo '{{ \"version\": 1, {fields} }}'")
}

#[tokio::test]
async fn command_of_the_file_prints_the_subject_token() {
    let told = "$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE $GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE $GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE \
                $GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL ${GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE-none} $OWN";
    let script = format!(
        "printf '{{ \"version\": 1, \"success\": true, \"token_type\": \"{JWT}\", \"expiration_time\": 4102444800, \
         \"id_token\": \"CANARY %s\" }}' \"{told}\""
    );
    let stage =
        Stage::new(&script, json!({ "output_file": "/nonexistent/CANARY", "timeout_millis": 20000 })).await;
    let sidekey =
        Sidekey::serving(&stage.service()).env(ALLOWED_BY, "1").env("OWN", "inherited").start_ready().await;
    let exchange = form(&stage.sts.only_request());
    let subject = exchange.iter().find(|(name, _)| name == "subject_token").unwrap();
    assert_eq!(subject.1, format!("CANARY {AUDIENCE} {JWT} 0 reports@acme.example none inherited"));
    assert_eq!(stage.runs(), ["--for ci"]);
    assert_eq!(sidekey.get("/api/v1").await.status, 200);
    let sent = stage.upstream.only_request();
    assert_eq!(sent.header("authorization"), Some("Bearer CANARY-of-the-account"));
    let shown = sidekey.log() + &sidekey.metrics().await;
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[tokio::test]
async fn command_of_the_file_is_not_run_without_permission() {
    let token = answer(&format!("\"success\": true, \"token_type\": \"{JWT}\", \"id_token\": \"a.b.c\""));
    for allowed in [None, Some(""), Some("0"), Some("true"), Some("11"), Some(" 1")] {
        let stage = Stage::new(&token, json!({})).await;
        let environment: Vec<_> = allowed.map(|allowed| (ALLOWED_BY, allowed)).into_iter().collect();
        for subcommand in [&["check"][..], &["check", "--online"], &["test", "api"]] {
            let (code, printed) = command(subcommand, &stage.service(), &environment).await;
            assert!(code != 0 && printed.contains(&format!("set {ALLOWED_BY}=1")), "{allowed:?}: {printed}");
        }
        assert_eq!((stage.runs(), stage.sts.request_count()), (Vec::new(), 0), "{allowed:?}");
    }
    // A check runs nothing either way.
    let stage = Stage::new(&token, json!({})).await;
    let (code, printed) = command(&["check"], &stage.service(), &[(ALLOWED_BY, "1")]).await;
    assert_eq!((code, stage.runs()), (0, Vec::new()), "{printed}");
}

#[tokio::test]
async fn command_that_gives_no_token_is_named_with_its_reason() {
    let success = |more: &str| answer(&format!("\"success\": true, \"token_type\": \"{JWT}\", {more}"));
    for (script, executable, said) in [
        (
            answer(
                "\"success\": false, \"code\": \"401\", \"message\": \"Caller not authorized\", \"id_token\": \"CANARY\"",
            ),
            json!({}),
            "the command reports 401: Caller not authorized",
        ),
        (success("\"id_token\": \"CANARY\", \"expiration_time\": 1000"), json!({}), "expired already"),
        (success("\"saml_response\": \"CANARY\""), json!({}), "the command wrote no `id_token`"),
        (
            "echo '{ \"version\": 2, \"success\": true, \"id_token\": \"CANARY\" }'".into(),
            json!({}),
            "`version` that the command wrote is not 1",
        ),
        ("echo CANARY".into(), json!({}), "did not write a JSON object"),
        ("echo CANARY >&2; exit 3".into(), json!({}), "ended with exit code 3"),
        ("yes CANARY".into(), json!({}), "more than 64 KiB"),
        ("sleep 1000".into(), json!({ "timeout_millis": 5000 }), "did not end within 5s and was killed"),
    ] {
        let stage = Stage::new(&script, executable).await;
        let sidekey = Sidekey::serving(&stage.service()).env(ALLOWED_BY, "1").start().await;
        let named = async || why_not_ready(&sidekey).await.contains(said);
        assert_eventually(TIMEOUT, said, named).await;
        let shown = why_not_ready(&sidekey).await + &sidekey.log();
        assert!(!shown.contains("CANARY"), "{shown}");
        assert_eq!(stage.sts.request_count(), 0, "{said}");
    }
}
