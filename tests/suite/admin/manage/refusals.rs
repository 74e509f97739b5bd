//! What the admin API does not do, whoever asks.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::{Value, json};

use super::setup::{Setup, with};
use crate::harness::{Gate, MockResponse, Request};
use crate::suite::admin::setup::TOKEN;

/// A service of one token, from a place.
fn from(setup: &Setup, place: &Value) -> Value {
    with(setup.bearer("api", ""), "secrets", json!({ "token": place }))
}

#[tokio::test]
async fn change_needs_the_token_and_the_same_origin() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    setup.add("api", "CANARY-a").await;
    let before = (setup.names(), setup.upstream.request_count());
    let body = setup.bearer("other", "CANARY-a").to_string();
    for (method, path) in [
        ("POST", "/services"),
        ("PUT", "/services/api"),
        ("POST", "/services/api/definition"),
        ("POST", "/services/api/enable"),
        ("POST", "/services/api/disable"),
        ("POST", "/services/api/remove"),
    ] {
        for (token, more, status) in [
            (None, ("X-None", "x"), 401),
            (Some("wrong-admin-token-0"), ("X-None", "x"), 401),
            (Some(TOKEN), ("Origin", "http://evil.example"), 403),
            (Some(TOKEN), ("Sec-Fetch-Site", "cross-site"), 403),
            (Some(TOKEN), ("Host", "evil.example"), 403),
            (Some(TOKEN), ("Content-Type", "text/plain"), 415),
        ] {
            let url = setup.sidekey.admin_url(&format!("/api/v1{path}"));
            let mut request = Request::new(method, url).body(body.as_str());
            if more.0 != "Content-Type" {
                request = request.header("Content-Type", "application/json");
            }
            request = request.header(more.0, more.1);
            if let Some(token) = token {
                request = request.header("Authorization", &format!("Bearer {token}"));
            }
            assert_eq!(request.send().await.status, status, "{method} {path} {more:?}");
        }
    }
    assert_eq!((setup.names(), setup.upstream.request_count()), before);
}

/// The holder of the token chooses the upstream. So nothing is read for it that services do not use.
#[tokio::test]
async fn sources_that_no_service_uses_are_refused() {
    let setup = Setup::with(", manage: services.d", "", &["CANARY-a"], |dir| {
        fs::write(dir.join("CANARY-file"), "CANARY-a").unwrap();
        fs::create_dir(dir.join("services.d/secrets")).unwrap();
        fs::write(dir.join("services.d/secrets/given"), "CANARY-a").unwrap();
        fs::write(
            dir.join("services.d/used.yaml"),
            format!(
                "services:\n  used: {{ upstream: 'http://127.0.0.1:1', auth: {{ type: bearer, token: {{ file: {} }} }} }}\n",
                dir.join("used").display()
            ),
        )
        .unwrap();
        fs::write(dir.join("used"), "CANARY-a").unwrap();
    })
    .await;
    let secrets = setup.at("secrets");
    let dir = setup.sidekey.dir();
    for (place, expected) in [
        (json!({ "file": "/etc/hostname" }), "only a file in"),
        (json!({ "file": dir.join("CANARY-file") }), "only a file in"),
        (json!({ "file": dir.join("sidekey.yaml") }), "only a file in"),
        (json!({ "file": secrets.join("../../sidekey.yaml") }), "only a file in"),
        (json!({ "file": "services.d/secrets/given" }), "only a file in"),
        (json!({ "file": secrets }), "only a file in"),
        (json!({ "env": "HOME" }), "only a variable of the environment"),
        (json!({ "env": "PATH" }), "only a variable of the environment"),
    ] {
        let response = setup.ask("POST", "/services", &from(&setup, &place)).await;
        let tried = response.json();
        let error = &tried["errors"][0];
        assert_eq!((response.status, &error["field"]), (200, &json!("token")), "{place} {tried}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{place} {error}");
    }
    assert_eq!(setup.upstream.request_count(), 0);
    for file in [secrets.join("given"), dir.join("used")] {
        let tried = setup.asked("POST", "/services", &from(&setup, &json!({ "file": file }))).await;
        assert_eq!((&tried["ok"], &tried["test"]["status"]), (&json!(true), &json!(200)), "{tried}");
    }
}

#[tokio::test]
async fn lines_give_the_page_no_more_than_a_service() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    setup.add("api", "CANARY-a").await;
    let definition = setup.asked("POST", "/services/api/definition", &json!({})).await;
    let lines = definition["lines"].as_str().unwrap();
    let marker = setup.sidekey.dir().join("ran");
    let exec = format!("{{ exec: [touch, {}] }}", marker.display());
    let token = format!("{{ file: {} }}", setup.at("secrets/api-token").display());
    for (changed, expected) in [
        (lines.replace(&token, &exec), "a command cannot be written here"),
        (format!("{lines}    previous: {exec}\n"), "a command cannot be written here"),
        (lines.replace(&token, "{ file: /etc/hostname }"), "only a file in"),
        (lines.replace(&token, "{ env: HOME }"), "only a variable"),
        (lines.replace(&token, "'${HOME}'"), "only a variable"),
        (lines.replace("upstream: ", "upstream: '${HOME:-x}' #"), "only a variable"),
        (format!("{lines}    tls: {{ ca_file: /etc/hostname }}\n"), "only a file in"),
        (format!("{lines}    previous: {{ from: caller }}\n"), "`from` cannot be written here"),
        (
            lines.replace("type: bearer", "type: kubernetes"),
            "a credential of this kind cannot be written here",
        ),
        (
            lines.replace(&format!("token: {token}"), "credentials: { from: instance }"),
            "`from` cannot be written here",
        ),
        (format!("{lines}    listen: 127.0.0.1:0\n"), "an address to listen on"),
        (format!("{lines}    listen: unix:/tmp/x.sock\n"), "an address to listen on"),
        (format!("{lines}  other: {{ upstream: 'https://a.example' }}\n"), "cannot be changed here"),
        (format!("{lines}listen: 0.0.0.0:1\n"), "cannot be changed here"),
        (
            format!("{lines}    headers: {{ set: &x {{ a: b }} }}\n    <<: {{ k: {exec} }}\n"),
            "a command cannot be written here",
        ),
    ] {
        let tried = setup.asked("PUT", "/services/api", &json!({ "lines": changed, "dry_run": false })).await;
        assert_eq!(tried["written"], false, "{changed}");
        let errors = tried["errors"].to_string();
        assert!(errors.contains(expected), "{changed}: {errors}");
    }
    assert!(!marker.exists(), "no command was run");
    assert!(setup.text("api.yaml").ends_with(lines));
}

/// What is a secret at one key would be shown at another: in a label, in the URL of the upstream.
#[tokio::test]
async fn variable_with_a_secret_is_not_written_elsewhere() {
    let setup = Setup::with(", manage: services.d", "", &[], |dir| {
        let text = "services:\n  one:\n    upstream: http://127.0.0.1:1\n    auth: { type: bearer, token: { env: TMPDIR } }\n\
                    \x20 two:\n    upstream: http://127.0.0.1:1\n    auth: { type: bearer, token: '${TMPDIR}' }\n";
        fs::write(dir.join("services.d/team.yaml"), text).unwrap();
    })
    .await;
    for (upstream, more, is_allowed) in [
        ("http://127.0.0.1:1", "{ type: bearer, token: '${TMPDIR}' }", true),
        ("http://127.0.0.1:1", "{ type: bearer, token: { env: TMPDIR } }", true),
        ("http://127.0.0.1:1/${TMPDIR}", "{ type: bearer, token: { env: TMPDIR } }", false),
        (
            "http://127.0.0.1:1",
            "{ type: bearer, token: { env: TMPDIR } }\n    labels: { a: '${TMPDIR}' }",
            false,
        ),
        ("http://127.0.0.1:1", "{ type: api_key, name: '${TMPDIR}', value: { env: TMPDIR } }", false),
    ] {
        let lines = format!("  one:\n    upstream: {upstream}\n    auth: {more}\n");
        let body = json!({ "lines": lines, "test": false, "dry_run": true });
        let tried = setup.asked("PUT", "/services/one", &body).await;
        assert_eq!(tried["ok"], is_allowed, "{upstream} {more}: {tried}");
        let errors = tried["errors"].to_string();
        assert!(is_allowed || errors.contains("only a variable"), "{upstream} {more}: {errors}");
    }
}

/// A kind in a variable is not known before the configuration is read, and a certificate is a file like any other.
#[tokio::test]
async fn kind_in_a_variable_and_file_of_a_certificate_are_refused() {
    let setup = Setup::with(", manage: services.d", "", &["CANARY-a"], |dir| {
        let text = "services:\n  team:\n    upstream: ${SIDEKEY_TEST_UNSET:-http://127.0.0.1:1}\n\
                    \x20   auth: { type: bearer, token: CANARY-a }\n";
        fs::write(dir.join("services.d/team.yaml"), text).unwrap();
    })
    .await;
    let oauth2 = "type: oauth2, grant_type: client_credentials, token_url: 'http://127.0.0.1:1', client_id: a, \
                  auth_method: private_key_jwt, private_key: '0123456789'";
    for (auth, expected) in [
        (
            "{ type: '${SIDEKEY_TEST_UNSET:-kubernetes}' }".to_owned(),
            "a credential of this kind cannot be written",
        ),
        (
            "{ type: '${SIDEKEY_TEST_UNSET:-gcp_metadata}' }".to_owned(),
            "a credential of this kind cannot be written",
        ),
        (format!("{{ {oauth2}, assertion_certificate: /etc/hostname }}"), "only a file in"),
    ] {
        let lines = format!("  team:\n    upstream: {}\n    auth: {auth}\n", setup.upstream.url());
        let tried = setup.asked("PUT", "/services/team", &json!({ "lines": lines, "dry_run": false })).await;
        assert_eq!(tried["written"], false, "{auth}");
        let errors = tried["errors"].to_string();
        assert!(errors.contains(expected), "{auth}: {errors}");
        // An error of the configuration would name its file.
        assert!(tried["errors"].as_array().unwrap().iter().all(|error| error["file"].is_null()), "{errors}");
    }
    assert_eq!(setup.upstream.request_count(), 0);
}

#[tokio::test]
async fn lines_of_aliases_of_aliases_are_refused() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    setup.add("api", "CANARY-a").await;
    let definition = setup.asked("POST", "/services/api/definition", &json!({})).await;
    let lines = definition["lines"].as_str().unwrap();
    for labels in [
        format!("{{ a: &a [{}], b: [{}] }}", "x,".repeat(1000), "*a,".repeat(1000)),
        format!(
            "{{ a: &a {}, b: &b [{}], c: [{}] }}",
            "x".repeat(8000),
            "*a,".repeat(200),
            "*b,".repeat(200)
        ),
        "[".repeat(8000),
    ] {
        let changed = format!("{lines}    labels: {labels}\n");
        let tried = setup.asked("PUT", "/services/api", &json!({ "lines": changed, "dry_run": false })).await;
        assert_eq!(tried["written"], false);
        assert_eq!(tried["errors"][0]["field"], "lines", "{tried}");
    }
    assert!(setup.text("api.yaml").ends_with(lines));
}

#[tokio::test]
async fn links_are_not_followed_and_nothing_is_overwritten() {
    let setup = Setup::with(", manage: services.d", "", &["CANARY-a"], |dir| {
        let service = "services:\n  linked: { upstream: 'http://127.0.0.1:1', auth: { type: bearer, token: { env: PATH } } }\n";
        fs::write(dir.join("elsewhere.yaml"), service).unwrap();
        symlink("../elsewhere.yaml", dir.join("services.d/linked.yaml")).unwrap();
        fs::write(dir.join("services.d/taken.yaml"), "services: {}\n").unwrap();
        symlink("../outside.yaml", dir.join("services.d/.gone.yaml")).unwrap();
    })
    .await;
    let dir = setup.sidekey.dir();
    let elsewhere = fs::read_to_string(dir.join("elsewhere.yaml")).unwrap();
    let changed = setup.ask("POST", "/services/linked/disable", &json!({ "dry_run": false })).await;
    assert_eq!(changed.status, 409, "{}", changed.text());
    assert_eq!(setup.asked("POST", "/services/linked/definition", &json!({})).await["managed"], false);
    assert_eq!(fs::read_to_string(dir.join("elsewhere.yaml")).unwrap(), elsewhere);
    let taken = setup.asked("POST", "/services", &setup.bearer("taken", "CANARY-a")).await;
    assert!(taken["errors"].to_string().contains("exists already"), "{taken}");
    // The folder of secrets leads out of the managed folder.
    fs::create_dir(dir.join("stolen")).unwrap();
    symlink("../stolen", setup.at("secrets")).unwrap();
    let response =
        setup.ask("POST", "/services", &with(setup.bearer("api", "CANARY-a"), "dry_run", json!(false))).await;
    assert_eq!(response.status, 500, "{}", response.text());
    assert_eq!(fs::read_dir(dir.join("stolen")).unwrap().count(), 0);
    fs::remove_file(setup.at("secrets")).unwrap();
    // Others may replace files in the folder.
    fs::set_permissions(setup.at(""), fs::Permissions::from_mode(0o777)).unwrap();
    let response =
        setup.ask("POST", "/services", &with(setup.bearer("api", "CANARY-a"), "dry_run", json!(false))).await;
    assert_eq!(response.status, 500, "{}", response.text());
    assert!(response.text().contains("other users of this machine may write to the folder"));
    assert!(!setup.at("api.yaml").exists() && !setup.at("secrets/api-token").exists());
    setup.assert_nothing_leaked().await;
}

#[tokio::test]
async fn change_while_another_is_made_is_refused() {
    let setup = Setup::new("", &["CANARY-a"]).await;
    let gate = Gate::closed();
    setup.upstream.always(MockResponse::status(200).delayed_until(&gate));
    let body = setup.bearer("api", "CANARY-a");
    let (first, second) = tokio::join!(setup.ask("POST", "/services", &body), async {
        setup.upstream.received(1).await;
        let second = setup.ask("POST", "/services", &body).await;
        gate.open();
        second
    });
    assert_eq!((first.status, second.status), (200, 409), "{}", second.text());
}

#[tokio::test]
async fn bodies_of_another_form_are_refused_and_not_repeated() {
    let setup = Setup::new("", &[]).await;
    let long = "CANARY".repeat(4000);
    for (body, status) in [
        ("{".to_owned(), 400),
        ("null".into(), 400),
        ("{\"name\": \"api\"}".into(), 400),
        (with(setup.bearer("api", "CANARY"), "more", json!(1)).to_string(), 400),
        (with(setup.bearer("api", "CANARY"), "preset", json!("CANARY")).to_string(), 400),
        (with(setup.bearer("api", "CANARY"), "test_path", json!("http://evil.example")).to_string(), 400),
        (with(setup.bearer("api", "CANARY"), "test_path", json!("/a/../../b")).to_string(), 400),
        (from(&setup, &json!("CANARY")).to_string(), 400),
        (from(&setup, &json!({ "exec": ["CANARY"] })).to_string(), 400),
        (from(&setup, &json!({ "value": "CANARY", "file": "/CANARY" })).to_string(), 400),
        (from(&setup, &json!({})).to_string(), 400),
        (setup.bearer("api", &long).to_string(), 413),
    ] {
        let request = Request::post(setup.sidekey.admin_url("/api/v1/services"), body.as_str())
            .header("Content-Type", "application/json")
            .header("Authorization", &format!("Bearer {TOKEN}"));
        let response = request.send().await;
        assert_eq!(response.status, status, "{body}");
        assert!(!response.text().contains("CANARY"), "{}", response.text());
    }
    for name in ["nobody", "..%2fsidekey", "%00"] {
        let response =
            setup.ask("POST", &format!("/services/{name}/remove"), &json!({ "dry_run": false })).await;
        assert!([400, 404].contains(&response.status), "{name}: {}", response.text());
    }
    setup.assert_nothing_leaked().await;
}
