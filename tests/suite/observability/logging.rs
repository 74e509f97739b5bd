//! Log format, access log, and the absence of secrets and of dependencies' lines.

use std::process::Command;

use crate::harness::{MockUpstream, Process, Request, Sidekey, TIMEOUT, assert_eventually};

fn config(upstream: &MockUpstream, log: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n{log}\nservices: {{ api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }} }}\n",
        upstream.url()
    )
}

#[tokio::test]
async fn log_format_is_json_without_terminal() {
    let upstream = MockUpstream::plain().await;
    // An empty variable counts as not set.
    let sidekey = Sidekey::configured(&config(&upstream, "")).env("RUST_LOG", "").start().await;
    sidekey.get("/api/?key=QUERY").await;
    sidekey.metrics().await;
    let log = sidekey.log();
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
    assert!(!log.contains("/api/") && !log.contains("QUERY"), "{log}");
}

#[tokio::test]
async fn log_format_text() {
    let upstream = MockUpstream::plain().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    std::fs::write(&file, config(&upstream, "log: { format: text }")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    let sidekey =
        Process::spawn("sidekey", command.arg("run").arg("--config").arg(file).env_remove("RUST_LOG"));
    assert_eventually(TIMEOUT, "it listens", async || sidekey.output().matches(" listening ").count() == 2)
        .await;
    let log = sidekey.output();
    assert!(!log.contains("\"level\"") && !log.contains('\u{1b}'), "no JSON and no colours: {log}");
}

#[tokio::test]
async fn access_log_line_has_no_query_body_or_field() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::configured(&config(&upstream, "access_log: true")).start().await;
    Request::post(sidekey.url("/api/v1/x?key=QUERY"), "BODY").header("X-Field", "FIELD").send().await;
    let line = sidekey.logged("request").await;
    assert_eq!(
        [
            &line["sidekey.service"],
            &line["http.request.method"],
            &line["url.path"],
            &line["http.response.status_code"]
        ],
        [&serde_json::json!("api"), &"POST".into(), &"/api/v1/x".into(), &200.into()]
    );
    // `service.name` is the emitter's in OpenTelemetry; the traces' resource has it.
    assert!(sidekey.events().iter().all(|event| event.get("service.name").is_none()));
    for hidden in ["QUERY", "BODY", "FIELD"] {
        assert!(!sidekey.log().contains(hidden));
    }
}

/// U+009B begins a command to a terminal, U+202E reverses what follows.
#[tokio::test]
async fn access_log_has_no_character_that_a_terminal_acts_on() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::configured(&config(&upstream, "access_log: true")).start().await;
    let mut caller = sidekey.connect().await;
    caller.send("GET /api/\u{9b}2J\u{202e}\u{e9}%41 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(caller.response().await.status, 200);
    assert_eq!(sidekey.logged("request").await["url.path"], "/api/%C2%9B2J%E2%80%AE%C3%A9%41");
    assert!(sidekey.log().is_ascii(), "{}", sidekey.log().escape_unicode());
}

#[tokio::test]
async fn failing_requests_are_logged_once_in_a_period() {
    let upstream = MockUpstream::plain().await;
    // No server listens there.
    let config = config(&upstream, "log: { level: debug }").replace(&upstream.url(), "http://127.0.0.1:1");
    let sidekey = Sidekey::configured(&config).start().await;
    for _ in 0..50 {
        assert_eq!(sidekey.get("/api/").await.status, 502);
    }
    let failures = || {
        let events = sidekey.events().into_iter();
        events.filter(|event| event["sidekey.error"] == "upstream_connect").collect::<Vec<_>>()
    };
    assert_eventually(TIMEOUT, "all are logged", async || failures().len() == 50).await;
    let warnings: Vec<_> = failures().into_iter().filter(|event| event["level"] == "WARN").collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["suppressed"], 0);
    let labels = [("reason", "upstream_connect")];
    assert_eq!(sidekey.metric("sidekey_request_errors_total", &labels).await, Some(50.0));
}

#[tokio::test]
async fn log_has_no_lines_of_dependencies() {
    let upstream = MockUpstream::plain().await;
    let log = "log: { level: 'trace,hyper=trace,rustls=trace,pingora_core=trace' }";
    for filter in ["trace", "hyper=trace,reqwest=trace,pingora=trace,rustls=trace,h2=trace,sidekey=trace", ""]
    {
        let sidekey = Sidekey::configured(&config(&upstream, log)).env("RUST_LOG", filter).start().await;
        sidekey.get("/api/").await;
        upstream.set_accepting(false);
        sidekey.get("/api/").await;
        upstream.set_accepting(true);
        let events = sidekey.events();
        assert!(events.len() > 2);
        for event in events {
            let target = event["target"].as_str().unwrap();
            assert!(target == "sidekey" || target.starts_with("sidekey::"), "{event}");
        }
    }
}
