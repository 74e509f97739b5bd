//! A service is added.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use super::setup::{Setup, with};

#[tokio::test]
async fn added_service_runs_and_its_secret_is_in_a_private_file() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    let added = setup.add("api", "CANARY-a").await;
    let secret = setup.at("secrets/api-token");
    assert_eq!(added["new_secret_files"], json!([secret]));
    assert!(added["message"].as_str().unwrap().ends_with("The service runs."), "{added}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "CANARY-a");
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(setup.at("secrets")).unwrap().mode() & 0o777, 0o700);
    let expected = format!(
        "services:\n  api:\n    upstream: {}\n    auth:\n      type: bearer\n      token: {{ file: {} }}\n",
        setup.upstream.url(),
        secret.display()
    );
    assert_eq!(setup.text("api.yaml"), expected);
    assert_eq!(setup.names(), ["api.yaml", "secrets"]);
    assert_eq!(setup.sidekey.get("/api/x").await.status, 200);
    assert_eq!(setup.upstream.last_request().header("authorization"), Some("Bearer CANARY-a"));
    let event = setup.sidekey.logged("service changed through the admin API").await;
    assert_eq!(
        (&event["sidekey.service"], &event["admin.action"], &event["user.name"]),
        (&json!("api"), &json!("add"), &json!("admin"))
    );
    setup.assert_nothing_leaked().await;
}

/// The secret is tested, and is in no file at any time.
#[tokio::test]
async fn dry_run_tests_a_typed_secret_and_writes_nothing() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    let tried = setup.asked("POST", "/services", &setup.bearer("api", "CANARY-a")).await;
    assert_eq!(
        (&tried["ok"], &tried["written"], &tried["managed"]),
        (&json!(true), &json!(false), &json!(true))
    );
    assert_eq!(tried["test"]["status"], 200);
    assert!(tried["diff"].as_str().unwrap().contains("    2 +   api:\n"), "{tried}");
    assert!(tried["lines"].as_str().unwrap().starts_with("  api:\n    upstream: "), "{tried}");
    assert_eq!(setup.names(), [""; 0]);
    assert_eq!(setup.upstream.only_request().header("authorization"), Some("Bearer CANARY-a"));
    // A wrong secret: the words of `sidekey test`, and nothing is written.
    for dry_run in [true, false] {
        let body = with(setup.bearer("api", "CANARY-wrong"), "dry_run", json!(dry_run));
        let tried = setup.asked("POST", "/services", &body).await;
        assert_eq!((&tried["ok"], &tried["written"]), (&json!(false), &json!(false)), "{tried}");
        assert_eq!(tried["test"]["status"], 401);
        assert!(tried["test"]["summary"].as_str().unwrap().contains("rejects this credential"), "{tried}");
        assert!(!tried["test"]["suggestions"].as_array().unwrap().is_empty());
        assert_eq!(setup.names(), [""; 0]);
    }
    let unknown = setup.sidekey.get("/api/x").await;
    assert_eq!(unknown.status, 404);
    setup.assert_nothing_leaked().await;
}

#[tokio::test]
async fn service_whose_test_fails_is_written_only_without_a_test() {
    let setup = Setup::new("", &[]).await;
    let body = with(setup.bearer("api", "CANARY-a"), "dry_run", json!(false));
    let added = setup.asked("POST", "/services", &with(body, "test", json!(false))).await;
    assert_eq!((&added["ok"], &added["running"]), (&json!(true), &json!(true)), "{added}");
    assert_eq!(setup.upstream.request_count(), 0);
    assert_eq!(setup.sidekey.get("/api/x").await.status, 401, "that of the upstream");
}

/// Every mistake at once, each with its field.
#[tokio::test]
async fn mistakes_of_an_addition_name_their_fields() {
    let setup = Setup::new("", &[]).await;
    for (body, field, message) in [
        (json!({ "name": "api", "preset": "bearer" }), "upstream", "is required"),
        (json!({ "name": "api", "preset": "bearer" }), "token", "is required"),
        (setup.bearer("api", ""), "token", "is required"),
        (setup.bearer("main", "CANARY"), "name", "there is a service of that name already"),
        (setup.bearer("../api", "CANARY"), "name", "a name has letters, digits"),
        (with(setup.bearer("api", "CANARY"), "answers", json!({ "upstream": "no url" })), "upstream", ""),
        (
            with(setup.bearer("api", "CANARY"), "answers", json!({ "upstrem": "x" })),
            "upstream",
            "is required",
        ),
        (
            with(setup.bearer("api", "CANARY"), "answers", json!({ "upstream": "http://a.example" })),
            "upstream",
            "allow_plaintext",
        ),
        (setup.bearer("api", "CANARY\u{7}"), "token", ""),
        (with(setup.bearer("api", "CANARY"), "lines", json!("  api: [")), "lines", "not valid YAML"),
        (
            with(setup.bearer("api", "CANARY"), "lines", json!("  other: {}\n")),
            "lines",
            "a service keeps its name",
        ),
    ] {
        let tried = setup.asked("POST", "/services", &body).await;
        assert_eq!((&tried["ok"], &tried["written"]), (&json!(false), &json!(false)), "{body}");
        let errors = tried["errors"].as_array().unwrap();
        let is_named = errors
            .iter()
            .any(|error| error["field"] == field && error["message"].as_str().unwrap().contains(message));
        assert!(is_named, "{field}: {message} in {errors:?}");
    }
    assert_eq!(setup.names(), [""; 0]);
    assert_eq!(setup.upstream.request_count(), 0);
    setup.assert_nothing_leaked().await;
}

#[tokio::test]
async fn presets_are_listed_with_their_questions() {
    let setup = Setup::new("", &[]).await;
    let presets = setup.asked("GET", "/presets", &json!(null)).await;
    let entra = presets["presets"].as_array().unwrap().iter().find(|preset| preset["id"] == "entra").unwrap();
    assert_eq!(entra["questions"][0]["default"], "graph.microsoft.com");
    assert_eq!(entra["secrets"][0]["name"], "client_secret");
    let services = setup.asked("GET", "/services", &json!(null)).await;
    assert_eq!(services["access"]["can_manage"], true);
}
