//! `sidekey check`, and other commands, on a configuration of several files.

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::Sidekey;

const MAIN: &str = "include: [teams, 'more-*.yaml']\ndefaults: { timeouts: { connect: 1s } }\nservices:\n  \
                    mail: { upstream: 'https://a.example', auth: { type: bearer, token: { env: TOKEN } } }\n";
/// One error of its own, and a name of the main file.
const TEAM: &str = "x-auth: &auth { type: bearer, token: { env: TOKEN } }\ndefaults: { labels: { team: sales }, token_wait: 5 }\n\
                    services:\n  crm: { upstream: 'https://b.example', auth: *auth }\n  \
                    mail: { upstream: 'https://c.example', auth: *auth }\n";

fn folder() -> TempDir {
    let dir = TempDir::with_prefix("sidekey-teams-").unwrap();
    std::fs::create_dir(dir.path().join("teams")).unwrap();
    std::fs::write(dir.path().join("services.yaml"), MAIN).unwrap();
    std::fs::write(dir.path().join("teams/sales.yaml"), TEAM).unwrap();
    dir
}

async fn run(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let arguments: Vec<_> =
        arguments.iter().map(|text| text.replace("$DIR", dir.path().to_str().unwrap())).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let output = Sidekey::command(&arguments, &[("TOKEN", "CANARY-of-a-token")]).await;
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!printed.contains("CANARY"), "{printed}");
    (output.status.code(), printed.replace(dir.path().to_str().unwrap(), "DIR"))
}

#[tokio::test]
async fn check_names_the_file_and_line_of_each_error_in_every_format() {
    let dir = folder();
    let (code, text) = run(&dir, &["check", "$DIR/services.yaml"]).await;
    assert_eq!(code, Some(78));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "2 errors in DIR/teams/sales.yaml:",
            "DIR/teams/sales.yaml:2: defaults.token_wait: a number without a unit; a duration is written `500ms`, `30s`, `5m`, `1h` or `1h30m`",
            "DIR/teams/sales.yaml:5: services.mail: the same name as `services.mail` in DIR/services.yaml:4, which is used; a service \
             is defined once",
        ]
    );
    let (code, json) = run(&dir, &["check", "$DIR/services.yaml", "--format", "json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json["errors"][0]["file"], &json["errors"][0]["line"]),
        (Some(78), &"DIR/teams/sales.yaml".into(), &2.into())
    );
    let (_, sarif) = run(&dir, &["check", "$DIR/services.yaml", "--format", "sarif"]).await;
    assert!(sarif.contains("\"uri\": \"DIR/teams/sales.yaml\""), "{sarif}");
    let (_, github) = run(&dir, &["check", "$DIR/services.yaml", "--format", "github"]).await;
    assert!(github.contains("::error file=DIR/teams/sales.yaml,line=5,"), "{github}");

    std::fs::write(
        dir.path().join("teams/sales.yaml"),
        TEAM.replace("token_wait: 5", "token_wait: 5s").replace("  mail:", "  maps:"),
    )
    .unwrap();
    let (code, text) = run(&dir, &["check", "$DIR/services.yaml"]).await;
    assert!(code == Some(0) && text.contains("3 services, no error"), "{text}");
    // A folder, and a file of it: without the main file.
    for path in ["$DIR/teams", "$DIR/teams/"] {
        let (code, text) = run(&dir, &["check", path]).await;
        assert!(code == Some(0) && text.contains("2 services, no error"), "{text}");
    }
}

#[tokio::test]
async fn command_about_a_service_works_while_another_one_has_a_mistake() {
    let dir = folder();
    let rules = MAIN.replace("auth:", "allow: [GET /v1/**], auth:");
    std::fs::write(dir.path().join("services.yaml"), rules).unwrap();
    let explain = |service| ["explain", "--config", "$DIR/services.yaml", service, "GET", "/v1/x"];
    let (code, text) = run(&dir, &explain("mail")).await;
    assert!(
        code == Some(0) && text.contains("allowed by `allow`: GET /v1/** (DIR/services.yaml:4)"),
        "{text}"
    );
    let (code, text) = run(&dir, &explain("crm")).await;
    assert!(code == Some(78) && text.contains("DIR/teams/sales.yaml:2: defaults.token_wait: "), "{text}");
}
