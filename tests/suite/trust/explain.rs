//! `sidekey explain`, and the rules in the table of `sidekey check`.

use crate::harness::Sidekey;

const CONFIG: &str = "services:
  crm:
    upstream: https://crm.example.com/api
    auth: { type: bearer, token: { env: TOKEN } }
    allow:
      - GET /api/v1/**
    deny:
      - /api/v1/admin/**
  open: { upstream: https://open.example.com, auth: { type: bearer, token: { env: TOKEN } } }
";

async fn said(arguments: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    std::fs::write(&file, CONFIG).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let mut all = vec![arguments[0], "--config", &file];
    all.extend(&arguments[1..]);
    let output = Sidekey::command(&all, &[("TOKEN", "CANARY")]).await;
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("CANARY"));
    (output.status.code(), text.replace(&file, "services.yaml"))
}

#[tokio::test]
async fn explain_prints_the_decision_and_the_line() {
    for (arguments, code, expected) in [
        (
            ["crm", "GET", "/v1/x?y=1"],
            0,
            "GET https://crm.example.com/api/v1/x: allowed by `allow`: GET /api/v1/** (services.yaml:6)\n",
        ),
        (
            ["crm", "GET", "/v1/Admin/x"],
            1,
            "GET https://crm.example.com/api/v1/Admin/x: denied by `deny`: /api/v1/admin/** (services.yaml:8)\n",
        ),
        (
            ["crm", "POST", "/v1/x"],
            1,
            "POST https://crm.example.com/api/v1/x: denied: no rule of allow matches\n",
        ),
        (
            ["crm", "WEBSOCKET", "/v1/x"],
            1,
            "WEBSOCKET https://crm.example.com/api/v1/x: denied: no rule of allow matches\n",
        ),
        (
            ["crm", "GET", "/v1/%2e%2e/x"],
            1,
            "GET https://crm.example.com/api/v1/%2e%2e/x: denied: servers may read the path differently: it has a segment \
             `.` or `..`\n",
        ),
        (
            ["crm", "TRACE", "/v1/x"],
            1,
            "TRACE https://crm.example.com/api/v1/x: denied, whatever the rules are: TRACE would send the credential back\n",
        ),
        (
            ["crm", "GET", "/%2e%2e/x"],
            1,
            "GET https://crm.example.com/api/%2e%2e/x: denied, whatever the rules are: the path leaves the upstream's base path\n",
        ),
        (
            ["open", "GET", "x"],
            1,
            "GET https://open.example.com: denied, whatever the rules are: it is not a path below the service\n",
        ),
        (["open", "DELETE", ""], 0, "DELETE https://open.example.com/: allowed: no rule is against it\n"),
    ] {
        let [service, method, path] = arguments;
        let (status, text) = said(&["explain", service, method, path]).await;
        assert_eq!((status, text.as_str()), (Some(code), expected));
    }
    let (status, text) = said(&["explain", "other", "GET", "/"]).await;
    assert_eq!((status, text.as_str()), (Some(64), "no service `other`; the configuration has: crm, open\n"));
}

#[tokio::test]
async fn check_lists_the_rules_of_each_service() {
    let (status, text) = said(&["check"]).await;
    assert_eq!(status, Some(0));
    let row = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(row("SERVICE").contains("REQUESTS"), "{text}");
    assert!(row("crm").contains("1 allow, 1 deny") && row("open").contains("  all  "), "{text}");
}
