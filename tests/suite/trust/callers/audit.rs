//! The audit log.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::setup::{BILLING_KEY, CI_KEY, assert_no_canary, configuration, keys_and_roles};
use crate::harness::{Connection, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually, run};

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
    let file = sidekey.dir().join("sidekey.yaml");
    assert_eq!(lines[0]["rule"], serde_json::json!({ "text": "GET /v1/**", "file": file, "line": 11 }));
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

/// The lines that were written, and those that were lost.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of lines")]
async fn counted(sidekey: &Sidekey) -> (usize, usize) {
    let count = async |result| {
        sidekey.metric("sidekey_audit_lines_total", &[("result", result)]).await.unwrap() as usize
    };
    (count("written").await, count("lost").await)
}

/// Sends requests that are refused, on one connection, without waiting for the answers in between.
async fn refused(sidekey: &Sidekey, count: usize) {
    let request = "GET /crm/v1/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer CANARY-wrong\r\n\r\n";
    let mut connection = Connection::open(sidekey.address()).await;
    for _ in 0..count / 50 {
        connection.send(request.repeat(50)).await;
        for _ in 0..50 {
            assert_eq!(connection.response().await.status, 401);
        }
    }
}

#[tokio::test]
async fn full_disk_loses_lines_and_no_decision_and_is_over_after_rotation() {
    let upstream = MockUpstream::plain().await;
    let callers = format!("{}audit: {{ path: $DIR/audit.log }}", keys_and_roles());
    // 4 KiB: a dozen lines.
    let sidekey =
        Sidekey::configured(&configuration(&upstream, &callers, "127.0.0.1:0")).file_size(8).start().await;
    refused(&sidekey, 100).await;
    assert_eq!(call(&sidekey, CI_KEY, "GET", "/crm/v1/x").await, 200);
    assert_eventually(TIMEOUT, "every line is counted", async || {
        let (written, lost) = counted(&sidekey).await;
        written + lost >= 100
    })
    .await;
    let (written, lost) = counted(&sidekey).await;
    assert!(written > 5 && lost > 50 && written + lost == 100, "{written} written, {lost} lost");
    let event = sidekey.logged("lines of the audit log are lost").await;
    assert!(event["error"].as_str().is_some_and(|error| error.contains("too large")), "{event}");
    let text = std::fs::read_to_string(sidekey.dir().join("audit.log")).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
    assert_eq!(whole, written, "the lines that are counted as written are whole");
    std::fs::rename(sidekey.dir().join("audit.log"), sidekey.dir().join("audit.log.1")).unwrap();
    assert!(sidekey.reload().await);
    assert_eq!(call(&sidekey, "CANARY-wrong", "GET", "/crm/v1/x").await, 401);
    assert_eventually(TIMEOUT, "the line is written", async || counted(&sidekey).await.0 > written).await;
    let text = std::fs::read_to_string(sidekey.dir().join("audit.log")).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(line["reason"], "unknown_key");
}

/// Makes a FIFO, and opens it so that it can be written to, and is read by nobody.
async fn unread_fifo(path: &Path) -> std::fs::File {
    let made = run(
        {
            let mut command = Command::new("mkfifo");
            command.arg(path);
            command
        },
        b"",
    )
    .await;
    assert!(made.status.success(), "{made:?}");
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

#[tokio::test]
async fn output_that_nobody_reads_blocks_no_request_and_no_end() {
    let upstream = MockUpstream::plain().await;
    let callers = format!("{}audit: {{ path: stdout }}", keys_and_roles());
    let config = configuration(&upstream, &callers, "127.0.0.1:0").replace("level: trace", "level: info");
    let builder = Sidekey::configured(&config.replace("access_log: true", "access_log: false"));
    let _unread = unread_fifo(&builder.dir().join("output")).await;
    let mut sidekey = builder.standard_output("output").start().await;
    // More than what the FIFO, one write and the queue have room for.
    refused(&sidekey, 12_000).await;
    let (written, lost) = counted(&sidekey).await;
    assert!(lost > 0 && written + lost < 12_000, "{written} written, {lost} lost");
    let event = sidekey.logged("lines of the audit log are lost").await;
    assert!(event["error"].as_str().is_some_and(|error| error.contains("the queue is full")), "{event}");
    assert_eq!(call(&sidekey, CI_KEY, "GET", "/crm/v1/x").await, 200);
    assert!(sidekey.terminate().await.success());
}
