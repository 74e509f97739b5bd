//! npm, with a registry whose metadata has absolute URLs.

use std::path::Path;
use std::process::Command;

use super::stage::{Api, Stage};
use crate::harness::{MockResponse, MockUpstream, Pki, run, tool};

/// The archive of the package that is installed.
async fn archive(dir: &Path) -> Vec<u8> {
    write_package(dir, "acme");
    let mut tar = Command::new(tool("tar"));
    tar.args(["--create", "--gzip", "--file=-", "package"]).current_dir(dir);
    let output = run(tar, b"").await;
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn write_package(dir: &Path, name: &str) {
    let package = dir.join("package");
    std::fs::create_dir_all(&package).unwrap();
    let about = serde_json::json!({ "name": name, "version": "1.0.0" });
    std::fs::write(package.join("package.json"), about.to_string()).unwrap();
}

/// A registry that demands a token for everything.
async fn registry(pki: &Pki) -> MockUpstream {
    let upstream = MockUpstream::tls(pki).await;
    let archive = archive(tempfile::tempdir().unwrap().path()).await;
    let url = upstream.url();
    upstream.respond_with(move |request| {
        if request.header("authorization") != Some("Bearer t0ken") {
            return MockResponse::status(401);
        }
        match (&*request.method, request.path()) {
            ("GET", "/acme") => MockResponse::json(&serde_json::json!({
                "name": "acme",
                "dist-tags": { "latest": "1.0.0" },
                "versions": { "1.0.0": {
                    "name": "acme",
                    "version": "1.0.0",
                    "dist": { "tarball": format!("{url}/acme/-/acme-1.0.0.tgz") },
                } },
            })),
            ("GET", "/acme/-/acme-1.0.0.tgz") => MockResponse::ok(archive.clone()),
            ("PUT", "/acme-new") => MockResponse::status(201),
            _ => MockResponse::status(404),
        }
    });
    upstream
}

#[tokio::test]
async fn documented_npm_commands_do_what_is_said() {
    let pki = Pki::new();
    let upstream = registry(&pki).await;
    let api = Api {
        service: "npm",
        documented: "npm.example.com",
        here: &format!("localhost:{}", upstream.address().port()),
        secret: "t0ken",
    };
    Stage::set("npm", &pki, api).await.run_all(async |dir| write_package(dir, "acme-new")).await;
    let published = upstream.requests().iter().filter(|request| request.method == "PUT").count();
    assert_eq!(published, 2);
}
