//! Services that stand elsewhere than in the managed folder: text to commit, and nothing else.

use std::fs;

use serde_json::json;

use super::setup::{OF_MAIN, Setup, with};

#[tokio::test]
async fn without_a_managed_folder_there_is_text_to_commit() {
    let setup = Setup::with("", "", &["CANARY-a"], |_| ()).await;
    let services = setup.asked("GET", "/services", &json!(null)).await;
    assert_eq!(services["access"]["can_manage"], false);
    let body = json!({
        "name": "api", "preset": "bearer", "answers": { "upstream": setup.upstream.url() },
        "secrets": { "token": { "file": "/run/secrets/api" } },
    });
    let tried = setup.asked("POST", "/services", &body).await;
    assert_eq!((&tried["ok"], &tried["managed"]), (&json!(true), &json!(false)), "{tried}");
    assert!(tried["lines"].as_str().unwrap().ends_with("token: { file: /run/secrets/api }\n"), "{tried}");
    assert!(tried["message"].as_str().unwrap().starts_with("Commit this change of "), "{tried}");
    // A secret that is typed has no place.
    let typed = setup.asked("POST", "/services", &setup.bearer("api", "CANARY-a")).await;
    assert_eq!(typed["errors"][0]["field"], "token", "{typed}");
    let written = setup.ask("POST", "/services", &with(body, "dry_run", json!(false))).await;
    assert_eq!(written.status, 409, "{}", written.text());
    assert_eq!((setup.names(), setup.upstream.request_count()), (Vec::new(), 0));
}

/// A changed upstream does not get the secret of a service that is not to be changed here.
#[tokio::test]
async fn service_of_the_main_file_is_not_tested_and_not_written() {
    let setup = Setup::new("", &[]).await;
    let main = std::fs::read_to_string(setup.sidekey.dir().join("sidekey.yaml")).unwrap();
    assert!(main.contains(OF_MAIN));
    let definition = setup.asked("POST", "/services/main/definition", &json!({})).await;
    assert_eq!(definition["managed"], false);
    let lines = definition["lines"]
        .as_str()
        .unwrap()
        .replace("    upstream: ", "    labels: { a: b }\n    upstream: ");
    let tried = setup.asked("PUT", "/services/main", &json!({ "lines": lines })).await;
    assert_eq!((&tried["ok"], &tried["test"]), (&json!(true), &json!(null)), "{tried}");
    assert!(tried["diff"].as_str().unwrap().contains("+     labels: { a: b }"), "{tried}");
    for (method, path, body) in [
        ("PUT", "/services/main", json!({ "lines": lines, "dry_run": false })),
        ("POST", "/services/main/disable", json!({ "dry_run": false })),
        ("POST", "/services/main/remove", json!({ "dry_run": false })),
    ] {
        assert_eq!(setup.ask(method, path, &body).await.status, 409, "{path}");
    }
    assert_eq!(std::fs::read_to_string(setup.sidekey.dir().join("sidekey.yaml")).unwrap(), main);
    assert_eq!(setup.upstream.request_count(), 0);
}

/// A line of another service is written again, if it has no line end, or if the new one stands in the same line.
#[tokio::test]
async fn lines_of_others_that_an_addition_changes_are_hidden() {
    let setup = Setup::with("", "", &[], |_| ()).await;
    let main = setup.sidekey.dir().join("sidekey.yaml");
    let text = fs::read_to_string(&main).unwrap();
    let (head, services) = text.split_once("services:\n").unwrap();
    let url = setup.upstream.url();
    for services in [
        services.trim_end().to_owned(),
        format!("  main: {{ upstream: '{url}', auth: {{ type: bearer, token: {OF_MAIN} }} }}"),
        format!("  {{ main: {{ upstream: '{url}', auth: {{ type: bearer, token: {OF_MAIN} }} }} }}\n"),
    ] {
        fs::write(&main, format!("{head}services:\n{services}")).unwrap();
        let body = json!({
            "name": "api", "preset": "bearer", "answers": { "upstream": url }, "secrets": { "token": { "file": "/run/secrets/api" } },
        });
        let tried = setup.asked("POST", "/services", &body).await;
        assert_eq!(tried["ok"], true, "{tried}");
        assert!(tried["diff"].as_str().unwrap().contains("(a secret in plain text)"), "{tried}");
    }
}
