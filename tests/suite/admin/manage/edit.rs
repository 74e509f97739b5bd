//! A service is changed, switched off and on, and removed.

use std::fs;

use serde_json::{Value, json};

use super::setup::{Setup, with};

#[tokio::test]
async fn edited_lines_are_tested_written_and_in_use() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    setup.add("api", "CANARY-a").await;
    let definition = setup.asked("POST", "/services/api/definition", &json!({})).await;
    assert_eq!(definition["managed"], true);
    assert_eq!(definition["secrets"][0]["key"], "auth.token");
    let lines = definition["lines"].as_str().unwrap();
    let changed =
        json!({ "lines": format!("{lines}    labels: {{ team: a }}\n"), "revision": definition["revision"] });
    let tried = setup.asked("PUT", "/services/api", &changed).await;
    assert_eq!(tried["diff"], "    7 +     labels: { team: a }\n");
    assert_eq!(tried["test"]["status"], 200);
    assert!(!setup.text("api.yaml").contains("team"));
    let written = setup.asked("PUT", "/services/api", &with(changed.clone(), "dry_run", json!(false))).await;
    assert_eq!((&written["ok"], &written["running"]), (&json!(true), &json!(true)), "{written}");
    assert!(setup.text("api.yaml").ends_with("    labels: { team: a }\n"));
    let services = setup.asked("GET", "/services/api", &json!(null)).await;
    assert_eq!(services["labels"]["team"], "a");
    // What it was made for is not there any more.
    let late = setup.ask("PUT", "/services/api", &with(changed, "dry_run", json!(false))).await;
    assert_eq!(late.status, 409, "{}", late.text());
    setup.assert_nothing_leaked().await;
}

#[tokio::test]
async fn replaced_secret_gets_a_file_of_its_own() {
    let setup = Setup::new("", &["CANARY-a", "CANARY-b"]).await;
    setup.add("api", "CANARY-a").await;
    let body = json!({ "secrets": { "auth.token": { "value": "CANARY-b" } }, "dry_run": false });
    let wrong = json!({ "secrets": { "auth.token": { "value": "CANARY-c" } }, "dry_run": false });
    let refused = setup.asked("PUT", "/services/api", &wrong).await;
    assert_eq!((&refused["written"], &refused["test"]["status"]), (&json!(false), &json!(401)));
    let written = setup.asked("PUT", "/services/api", &body).await;
    assert_eq!(written["new_secret_files"], json!([setup.at("secrets/api-token-2")]));
    assert_eq!(written["unused_secret_files"], json!([setup.at("secrets/api-token")]));
    assert_eq!(setup.sidekey.get("/api/x").await.status, 200);
    assert_eq!(setup.upstream.last_request().header("authorization"), Some("Bearer CANARY-b"));
    setup.assert_nothing_leaked().await;
}

#[tokio::test]
async fn service_is_switched_off_and_on_and_removed() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    setup.add("api", "CANARY-a").await;
    let text = setup.text("api.yaml");
    let change = async |action: &str, expected: (bool, u16)| {
        let path = format!("/services/api/{action}");
        let tried = setup.asked("POST", &path, &json!({})).await;
        assert_eq!(tried["written"], false, "{tried}");
        let made =
            setup.asked("POST", &path, &json!({ "dry_run": false, "revision": tried["revision"] })).await;
        assert_eq!((&made["ok"], &made["running"]), (&json!(true), &json!(expected.0)), "{made}");
        assert_eq!(setup.sidekey.get("/api/x").await.status, expected.1, "{action}");
        made
    };
    change("disable", (false, 503)).await;
    assert!(setup.text("api.yaml").contains("enabled: false"));
    change("enable", (true, 200)).await;
    assert_eq!(setup.text("api.yaml"), text);
    let removed = change("remove", (false, 404)).await;
    assert_eq!(removed["lines"], Value::Null);
    assert_eq!(removed["unused_secret_files"], json!([setup.at("secrets/api-token")]));
    assert_eq!(setup.names(), ["secrets"]);
    // The same name again: its secret does not overwrite the old file.
    setup.add("api", "CANARY-a").await;
    assert_eq!(fs::read_dir(setup.at("secrets")).unwrap().count(), 2);
}

/// Lines with secrets in plain text are comments, which stand for them.
#[tokio::test]
async fn plain_secrets_are_not_shown_and_stay() {
    let setup = Setup::with(", manage: services.d", "", &["CANARY-plain"], |dir| {
        let text = "# ours\nservices:\n  keys:\n    upstream: http://127.0.0.1:1\n    auth:\n      type: header\n      headers:\n\
                    \x20       X-Key: CANARY-key\n        X-Other: CANARY-other\n  plain:\n    upstream: http://127.0.0.1:1\n    auth:\n\
                    \x20     type: bearer\n      token: CANARY-plain\n";
        fs::write(dir.join("services.d/team.yaml"), text).unwrap();
    })
    .await;
    let hidden = |definition: &Value| {
        let lines = definition["lines"].as_str().unwrap().to_owned();
        (lines.matches("has a secret in plain text; it is not shown").count(), lines)
    };
    let (count, lines) = hidden(&setup.asked("POST", "/services/keys/definition", &json!({})).await);
    assert_eq!(count, 2, "{lines}");
    let definition = setup.asked("POST", "/services/plain/definition", &json!({})).await;
    let (count, lines) = hidden(&definition);
    assert_eq!(count, 1, "{lines}");
    let lines = lines.replace("http://127.0.0.1:1", &setup.upstream.url());
    let body = json!({ "lines": lines, "revision": definition["revision"], "dry_run": false });
    let written = setup.asked("PUT", "/services/plain", &body).await;
    assert_eq!(written["ok"], true, "{written}");
    assert!(!written["diff"].as_str().unwrap().contains("token"), "{written}");
    let text = setup.text("team.yaml");
    assert!(text.starts_with("# ours\n") && text.ends_with("      token: CANARY-plain\n"), "{text}");
    assert!(text.contains("X-Key: CANARY-key") && text.contains(&setup.upstream.url()), "{text}");
    assert_eq!(setup.sidekey.get("/plain/x").await.status, 200);
    setup.assert_nothing_leaked().await;
}

/// Whatever form YAML gives a value, none of its lines is shown.
#[tokio::test]
async fn every_line_of_a_plain_secret_is_hidden() {
    let auth = [
        "{ type: bearer,\n      token:\n      CANARY-a }",
        "{ type: bearer, token: \"CANARY-a\\\n    CANARY-b\" }",
        "\n      type: bearer\n      token: \"CANARY-a\\\n       CANARY-b\"",
        "\n      type: bearer\n      ? token\n      : CANARY-a",
        "\n      type: bearer\n      token:\n        CANARY-a",
        "\n      type: bearer\n      token: >-\n        CANARY-a",
        "\n    - type: bearer\n      token:\n       CANARY-a",
    ];
    let setup = Setup::with(", manage: services.d", "", &[], |dir| {
        for (number, auth) in auth.iter().enumerate() {
            let text =
                format!("services:\n  s{number}:\n    upstream: http://127.0.0.1:1\n    auth: {auth}\n");
            fs::write(dir.join(format!("services.d/s{number}.yaml")), text).unwrap();
        }
        let text = "services:\n  alias:\n    upstream: http://127.0.0.1:1\n    labels: { a: &x CANARY-a }\n\
                    \x20   auth: { type: bearer, token: *x }\n";
        fs::write(dir.join("services.d/alias.yaml"), text).unwrap();
    })
    .await;
    let names = (0..auth.len()).map(|number| format!("s{number}")).chain(["alias".into()]);
    for name in names {
        // `asked` checks what is answered.
        let definition = setup.asked("POST", &format!("/services/{name}/definition"), &json!({})).await;
        let lines = definition["lines"].as_str().unwrap();
        assert!(lines.contains("has a secret in plain text"), "{name}: {lines}");
        setup.asked("POST", &format!("/services/{name}/remove"), &json!({})).await;
        let body = json!({ "lines": lines, "test": false, "dry_run": false });
        let unchanged = setup.asked("PUT", &format!("/services/{name}"), &body).await;
        assert_eq!((&unchanged["ok"], &unchanged["written"]), (&json!(true), &json!(false)), "{unchanged}");
    }
    assert!(!setup.sidekey.log().contains("CANARY"));
}

/// A comment that stands for a hidden line is that line where it stood, and nowhere else.
#[tokio::test]
async fn hidden_line_comes_back_in_its_place_only() {
    let setup = Setup::with(", manage: services.d", "", &[], |dir| {
        let text = "services:\n  plain:\n    upstream: http://127.0.0.1:1\n    auth: { type: bearer, token: CANARY-a }\n";
        fs::write(dir.join("services.d/plain.yaml"), text).unwrap();
    })
    .await;
    for name in ["main", "plain"] {
        let definition = setup.asked("POST", &format!("/services/{name}/definition"), &json!({})).await;
        let lines = definition["lines"].as_str().unwrap();
        let marker = lines.lines().find(|line| line.contains("in plain text")).unwrap();
        let head = format!("  {name}:\n    upstream: http://127.0.0.1:1\n");
        let auth = "    auth: { type: bearer, token: '0123456789' }\n";
        for place in [
            format!("    labels: {{ a: \"\n{marker}\n    \" }}\n"),
            format!("    labels: {{ \"\n{marker}\n    \": a }}\n"),
            format!("    \"\n{marker}\n    \": a\n"),
            format!("    ? \"\n{marker}\n    \"\n    : a\n"),
            format!("    hosts: [\"\n{marker}\n    \"]\n"),
            format!("    labels:\n      a: >1\n{marker}\n"),
            format!("    labels:\n{marker}\n"),
        ] {
            for dry_run in [true, false] {
                let body =
                    json!({ "lines": format!("{head}{place}{auth}"), "test": false, "dry_run": dry_run });
                let tried = setup.asked("PUT", &format!("/services/{name}"), &body).await;
                assert_eq!((&tried["ok"], &tried["written"]), (&json!(false), &json!(false)), "{tried}");
                assert_eq!(tried["errors"][0]["field"], "lines", "{place}: {tried}");
            }
        }
    }
    setup.assert_nothing_leaked().await;
}

/// A file that has more than the service is not removed with it.
#[tokio::test]
async fn file_of_several_services_loses_one() {
    let setup = Setup::with(", manage: services.d", "", &[], |dir| {
        let service = |name: &str| {
            format!("  {name}: {{ upstream: 'http://127.0.0.1:1', auth: {{ type: bearer, token: {{ env: PATH }} }} }}\n")
        };
        let text = format!("services:\n{}  # about b\n{}", service("a"), service("b"));
        fs::write(dir.join("services.d/team.yaml"), text).unwrap();
    })
    .await;
    let removed = setup.asked("POST", "/services/b/remove", &json!({ "dry_run": false })).await;
    assert_eq!(removed["written"], true, "{removed}");
    assert!(setup.text("team.yaml").contains("  a: ") && !setup.text("team.yaml").contains("about"));
}
