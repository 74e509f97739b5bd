//! `sidekey check` for programs: formats, standard input, without secrets.

use serde_json::{Value, json};

use crate::harness::Sidekey;

const BROKEN: &str = "services:
  mail: { upstream: 'https://a.example', auth: { type: bearer, tokn: CANARY } }
  maps: { upstream: 'http://a.example', auth: { type: bearer, token: CANARY } }
";
const UNWISE: &str =
    "services:\n  mail: { upstream: 'https://a.example/v1', auth: { type: bearer, token: CANARY } }\n";
/// Every secret is missing: a variable, a file, a command.
const SECRETS: &str = "services:
  a: { upstream: 'https://a.example', auth: { type: bearer, token: { env: NOT_SET_ANYWHERE } } }
  b: { upstream: 'https://a.example', auth: { type: basic, username: u, password: { file: /nonexistent/p } } }
  c: { upstream: 'https://a.example', auth: { type: api_key, name: X-Key, value: { exec: [/nonexistent/command] } } }
  d: { upstream: 'https://a.example', auth: { type: hmac, header: X-Sig, parts: [method], key_encoding: hex, key: { env: NOT_SET_ANYWHERE } } }
  e:
    upstream: https://a.example
    auth:
      { type: oauth2, grant_type: client_credentials, token_url: 'https://t.example', client_id: a, auth_method: private_key_jwt,
        private_key: { file: /nonexistent/key.pem } }
  f:
    upstream: https://a.example
    auth:
      { type: oauth2, grant_type: token_exchange, token_url: 'https://t.example', subject_token: { exec: [/nonexistent/command] } }
";

/// Checks a text by standard input; returns the exit code and what is printed to standard output.
async fn checked(config: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let all = [&["check", "-"], arguments].concat();
    let output = Sidekey::command_with_input(&all, config.as_bytes()).await;
    let (printed, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!printed.contains("CANARY") && !errors.contains("CANARY"), "{printed}{errors}");
    (output.status.code(), printed)
}

#[tokio::test]
async fn check_reads_standard_input_and_a_file_by_its_place() {
    let (code, printed) = checked(UNWISE, &[]).await;
    assert!(code == Some(0) && printed.ends_with("\nstandard input: 1 service, no error\n"), "{printed}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    std::fs::write(&file, UNWISE).unwrap();
    let file = file.to_str().unwrap();
    for arguments in [&["check", file][..], &["check", "-c", file]] {
        assert_eq!(Sidekey::command(arguments, &[]).await.status.code(), Some(0), "{arguments:?}");
    }
    let too_large = Sidekey::command_with_input(&["check", "-"], &vec![b'#'; 2_000_000]).await;
    assert_eq!(too_large.status.code(), Some(78));
    let run = Sidekey::command_with_input(&["run", "-c", "-"], UNWISE.as_bytes()).await;
    assert_eq!(run.status.code(), Some(64));
}

#[tokio::test]
async fn check_as_json_has_every_error_and_service() {
    let (code, printed) = checked(BROKEN, &["--format", "json"]).await;
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (code, &report["valid"], &report["file"]),
        (Some(78), &json!(false), &json!("standard input"))
    );
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "{report:#}");
    assert!(
        errors.iter().any(|error| error["line"] == 3 && error["path"] == "services.maps.upstream"),
        "{report:#}"
    );
    let (code, printed) = checked(UNWISE, &["--format", "json"]).await;
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &report["valid"], &report["errors"]), (Some(0), &json!(true), &json!([])));
    assert_eq!(report["warnings"][0]["path"], "services.mail.auth.token");
    let mail = &report["services"][0];
    assert_eq!(
        (&mail["name"], &mail["kind"], &mail["requests"]),
        (&json!("mail"), &json!("bearer"), &json!("all"))
    );
    assert_eq!(mail["upstreams"], json!(["https://a.example/v1"]));
}

#[tokio::test]
async fn check_as_sarif_has_rule_level_and_line() {
    let (code, printed) = checked(BROKEN, &["--format", "sarif"]).await;
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &report["version"]), (Some(78), &json!("2.1.0")));
    let results = report["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    let rules = report["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1, "{result}");
        assert!(
            result["level"] == "error"
                && result["message"]["text"].as_str().unwrap().starts_with("services.")
        );
    }
    let (_, printed) = checked(UNWISE, &["--format", "sarif"]).await;
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["runs"][0]["results"][0]["level"], "warning");
}

#[tokio::test]
async fn check_as_github_annotations_is_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a,b:100%.yaml");
    std::fs::write(&file, BROKEN).unwrap();
    let output = Sidekey::command(&["check", file.to_str().unwrap(), "--format", "github"], &[]).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!((output.status.code(), lines.len()), (Some(78), 3), "{printed}");
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("::error file=") && line.contains("a%2Cb%3A100%25.yaml,line="))
    );
    assert!(lines.iter().any(|line| line.contains(",title=sidekey check::services.mail.auth")), "{printed}");
}

#[tokio::test]
async fn check_without_secrets_reads_none() {
    assert_eq!(checked(SECRETS, &[]).await.0, Some(78));
    let (code, printed) = checked(SECRETS, &["--without-secrets"]).await;
    assert!(code == Some(0) && printed.contains("6 services, no error"), "{printed}");
    // Certificates and keys are not read either: no file of the sample is on this machine.
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/config/services.yaml");
    let output = Sidekey::command(&["check", sample, "--without-secrets"], &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    // What is no secret is checked all the same.
    assert_eq!(checked(BROKEN, &["--without-secrets"]).await.0, Some(78));
    assert_eq!(checked(UNWISE, &["--without-secrets", "--online"]).await.0, Some(64), "usage");
}

#[tokio::test]
async fn completions_and_man_pages_name_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = Sidekey::command(&["completions", shell], &[]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains("without-secrets") && text.contains("explain"),
            "{shell}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man");
    assert!(Sidekey::command(&["man", folder.to_str().unwrap()], &[]).await.status.success());
    let page = std::fs::read_to_string(folder.join("sidekey-check.1")).unwrap();
    assert!(folder.join("sidekey.1").exists() && page.contains("without"));
}
