//! The audit log.

use serde_json::Value;

use super::setup::{BILLING_KEY, CI_KEY, assert_no_canary, configuration, keys_and_roles};
use crate::harness::{Connection, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually};

fn lines(sidekey: &Sidekey, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(sidekey.dir().join(file)).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Waits for that many lines.
async fn written(sidekey: &Sidekey, file: &str, count: usize) -> Vec<Value> {
    assert_eventually(TIMEOUT, "the lines are written", async || lines(sidekey, file).len() >= count).await;
    let found = lines(sidekey, file);
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

async fn started(upstream: &MockUpstream, decisions: &str) -> Sidekey {
    let callers = format!("{}audit: {{ path: $DIR/audit.log, decisions: {decisions} }}", keys_and_roles());
    Sidekey::configured(&configuration(upstream, &callers, "127.0.0.1:0")).start().await
}

async fn call(sidekey: &Sidekey, key: &str, method: &str, path: &str) -> u16 {
    let request = Request::new(method, sidekey.url(path)).header("Authorization", &format!("Bearer {key}"));
    request.send().await.status
}

#[tokio::test]
async fn decision_is_recorded_with_caller_rule_and_line() {
    let upstream = MockUpstream::plain().await;
    let sidekey = started(&upstream, "all").await;
    assert_eq!(call(&sidekey, CI_KEY, "GET", "/crm/v1/x?in-the-query=1").await, 200);
    assert_eq!(call(&sidekey, CI_KEY, "GET", "/crm/v1/secret").await, 403);
    assert_eq!(call(&sidekey, "CANARY-wrong", "POST", "/crm/v1/x").await, 401);
    assert_eq!(call(&sidekey, BILLING_KEY, "GET", "/other/x").await, 403);
    assert_eq!(call(&sidekey, "CANARY-wrong", "GET", "/nothing/CANARY").await, 401);
    let lines = written(&sidekey, "audit.log", 5).await;
    let said = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        [
            text("caller"),
            text("known_by"),
            text("method"),
            text("path"),
            text("service"),
            text("decision"),
            text("reason"),
        ]
        .join(" ")
    };
    assert_eq!(
        lines.iter().map(said).collect::<Vec<_>>(),
        [
            "ci bearer GET /crm/v1/x crm allowed ",
            "ci bearer GET /crm/v1/secret crm denied rule",
            "anonymous  POST /crm/v1/x crm denied unknown_key",
            "billing bearer GET /other/x other denied no_role",
            "anonymous  GET   denied unknown_key",
        ]
    );
    assert_eq!(lines[0]["role"], serde_json::json!({ "name": "read-crm", "line": 11 }));
    assert_eq!(lines[0]["rule"], serde_json::json!({ "text": "GET /v1/**", "line": 11 }));
    assert_eq!(lines[1]["rule"]["text"], "/v1/secret/**");
    assert!(lines[0]["time"].as_str().is_some_and(|time| time.ends_with('Z')));
    assert_eq!(lines[0]["listener"], sidekey.address().to_string());
    let text = std::fs::read_to_string(sidekey.dir().join("audit.log")).unwrap();
    assert!(!text.contains("CANARY") && !text.contains("in-the-query"), "{text}");
    assert_no_canary(&sidekey, &upstream).await;
    assert_eq!(sidekey.metric("sidekey_audit_lines_total", &[("result", "written")]).await, Some(5.0));
    let mode =
        std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(sidekey.dir().join("audit.log")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn only_refusals_are_recorded_by_default_and_no_request_forges_a_line() {
    let upstream = MockUpstream::plain().await;
    let sidekey = started(&upstream, "denied").await;
    assert_eq!(call(&sidekey, CI_KEY, "GET", "/crm/v1/x").await, 200);
    let mut connection = Connection::open(sidekey.address()).await;
    let path = "/crm/v1/secret/\"},{\"caller\":\"billing\"%0a{\u{85}\u{2028}";
    connection
        .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CI_KEY}\r\n\r\n"))
        .await;
    connection.response().await;
    let lines = written(&sidekey, "audit.log", 1).await;
    assert_eq!(lines[0]["caller"], "ci");
}

#[tokio::test]
async fn file_is_opened_again_by_a_reload_and_all_is_written_at_the_end() {
    let upstream = MockUpstream::plain().await;
    let mut sidekey = started(&upstream, "denied").await;
    assert_eq!(call(&sidekey, "CANARY-wrong", "GET", "/crm/v1/x").await, 401);
    written(&sidekey, "audit.log", 1).await;
    // As logrotate does.
    std::fs::rename(sidekey.dir().join("audit.log"), sidekey.dir().join("audit.log.1")).unwrap();
    assert!(sidekey.reload().await);
    for _ in 0..50 {
        assert_eq!(call(&sidekey, "CANARY-wrong", "GET", "/crm/v1/x").await, 401);
    }
    assert!(sidekey.terminate().await.success());
    assert_eq!(lines(&sidekey, "audit.log").len(), 50);
    assert_eq!(lines(&sidekey, "audit.log.1").len(), 1);
}

#[tokio::test]
async fn rules_of_a_service_are_recorded_without_callers() {
    let upstream = MockUpstream::plain().await;
    let config = configuration(&upstream, "audit: { path: stdout }", "127.0.0.1:0").replacen(
        "crm: {",
        "crm: { deny: /admin/**,",
        1,
    );
    let sidekey = Sidekey::configured(&config).start().await;
    assert_eq!(sidekey.get("/crm/admin/x").await.status, 403);
    let recorded = || sidekey.events().into_iter().find(|line| line["decision"] == "denied");
    assert_eventually(TIMEOUT, "the line is written", async || recorded().is_some()).await;
    let line = recorded().unwrap();
    assert_eq!((&line["caller"], &line["rule"]["text"]), (&Value::Null, &"/admin/**".into()));
}

#[tokio::test]
async fn file_that_cannot_be_opened_stops_the_start_and_rejects_a_reload() {
    let upstream = MockUpstream::plain().await;
    let config = |path: &str| configuration(&upstream, &format!("audit: {{ path: {path} }}"), "127.0.0.1:0");
    let builder = Sidekey::configured(&config("/nonexistent/audit.log"));
    let (_, output) = builder.expect_start_failure().await;
    assert!(output.contains("cannot open the audit log /nonexistent/audit.log"), "{output}");
    let sidekey = Sidekey::configured(&config("$DIR/audit.log")).start().await;
    sidekey.reconfigure(&config("/nonexistent/audit.log"));
    assert!(!sidekey.reload().await);
    assert_eq!(sidekey.get("/crm/x").await.status, 200);
}
