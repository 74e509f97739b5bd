//! A Sidekey that may write to a folder, and an upstream that accepts some tokens.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{MockResponse, MockUpstream, Request, Response, Sidekey};
use crate::suite::admin::setup::TOKEN;

/// The token of the service in the main file.
pub const OF_MAIN: &str = "CANARY-of-main-file";

/// A Sidekey with the service `main` in its main file.
pub struct Setup {
    pub sidekey: Sidekey,
    pub upstream: MockUpstream,
    /// The only other folder that it may write to.
    _temporary: TempDir,
}

impl Setup {
    /// With `admin.manage: services.d`, these keys of the main file, and an upstream that accepts these bearer tokens.
    pub async fn new(more: &str, accepted: &'static [&'static str]) -> Self {
        Self::with(", manage: services.d", more, accepted, |_| ()).await
    }

    /// With these keys of `admin`, after `prepare` has got the folder of the main file.
    pub async fn with(
        admin: &str,
        more: &str,
        accepted: &'static [&'static str],
        prepare: impl FnOnce(PathBuf),
    ) -> Self {
        let (upstream, temporary) = (MockUpstream::plain().await, TempDir::new().unwrap());
        upstream.respond_with(move |request| {
            let sent = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
            let is_accepted = sent.is_some_and(|sent| sent == OF_MAIN || accepted.contains(&sent));
            MockResponse::status(if is_accepted { 200 } else { 401 })
        });
        let config = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: {TOKEN}{admin} }}\ninclude: services.d\n\
             reload: {{ interval: 0s }}\nlog: {{ level: debug, format: json }}\naccess_log: true\n{more}\
             services:\n  main:\n    upstream: {}\n    auth: {{ type: bearer, token: {OF_MAIN} }}\n",
            upstream.url()
        );
        let builder = Sidekey::configured(&config).env("TMPDIR", temporary.path().to_str().unwrap());
        fs::create_dir(builder.dir().join("services.d")).unwrap();
        prepare(builder.dir());
        Self { sidekey: builder.start_ready().await, upstream, _temporary: temporary }
    }

    /// A path in the managed folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.sidekey.dir().join("services.d").join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    /// The names in the managed folder.
    pub fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(self.at("")).unwrap().map(name).collect();
        names.sort();
        names
    }

    /// Asks the API with the admin token. Nothing that is secret comes back.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Response {
        let request = Request::new(method, self.sidekey.admin_url(&format!("/api/v1{path}")))
            .header("Content-Type", "application/json")
            .header("Authorization", &format!("Bearer {TOKEN}"))
            .body(body.to_string());
        let response = request.send().await;
        let text = response.text();
        assert!(!text.contains("CANARY"), "{method} {path}: {text}");
        response
    }

    /// The document of a response with status 200.
    pub async fn asked(&self, method: &str, path: &str, body: &Value) -> Value {
        let response = self.ask(method, path, body).await;
        assert_eq!(response.status, 200, "{method} {path}: {}", response.text());
        response.json()
    }

    /// A service of the plain kind `bearer`, whose token is typed.
    pub fn bearer(&self, name: &str, token: &str) -> Value {
        json!({
            "name": name, "preset": "bearer", "answers": { "upstream": self.upstream.url() },
            "secrets": { "token": { "value": token } },
        })
    }

    /// Adds such a service.
    pub async fn add(&self, name: &str, token: &str) -> Value {
        let added =
            self.asked("POST", "/services", &with(self.bearer(name, token), "dry_run", json!(false))).await;
        assert_eq!((&added["ok"], &added["running"]), (&json!(true), &json!(true)), "{added}");
        added
    }

    /// What is nowhere but in the file of the secret: not in the log, and not at the admin address.
    pub async fn assert_nothing_leaked(&self) {
        let log = self.sidekey.log();
        assert!(!log.contains("CANARY"), "{log}");
        for path in ["/metrics", "/api/v1/services", "/readyz"] {
            let text = Request::get(self.sidekey.admin_url(path)).send().await.text();
            assert!(!text.contains("CANARY"), "{path}: {text}");
        }
    }
}

/// A body with another value for a key.
pub fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}
