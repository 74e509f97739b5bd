//! pip, with an index whose links are relative, from the root, or absolute.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::stage::{Api, Stage};
use crate::harness::{MockResponse, MockUpstream, Pki, installed, run};

const PACKAGES: [&str; 3] = ["relative", "rooted", "absolute"];

fn wheel_name(package: &str) -> String {
    format!("acme_{package}-1.0-py3-none-any.whl")
}

/// A wheel: a ZIP archive with a module and its metadata.
async fn wheel(package: &str, dir: &Path) -> Vec<u8> {
    let script = "
import sys, zipfile
name, file = sys.argv[1:]
info = f'acme_{name}-1.0.dist-info'
with zipfile.ZipFile(file, 'w') as wheel:
    wheel.writestr(f'acme_{name}.py', '')
    wheel.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: acme-{name}\\nVersion: 1.0\\n')
    wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(f'{info}/RECORD', f'acme_{name}.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n')
";
    let file = dir.join(wheel_name(package));
    let mut python = Command::new(installed(".venv-clients/bin/python"));
    python.args(["-c", script, package]).arg(&file);
    let output = run(python, b"").await;
    assert!(output.status.success(), "{output:?}");
    std::fs::read(file).unwrap()
}

/// An index that demands basic authentication for everything.
async fn index(pki: &Pki) -> MockUpstream {
    let upstream = MockUpstream::tls(pki).await;
    let dir = tempfile::tempdir().unwrap();
    let mut responses = Vec::new();
    for (package, before) in PACKAGES.iter().zip(["../..".to_owned(), String::new(), upstream.url()]) {
        let wheel = wheel(package, dir.path()).await;
        let file = wheel_name(package);
        let page =
            format!("<!DOCTYPE html><html><body><a href=\"{before}/files/{file}\">{file}</a></body></html>");
        let page = MockResponse::ok(page).header("Content-Type", "text/html");
        responses.push((format!("/simple/acme-{package}/"), page));
        responses.push((format!("/files/{file}"), MockResponse::ok(wheel)));
    }
    let credential = format!("Basic {}", STANDARD.encode("reader:pa55"));
    upstream.respond_with(move |request| {
        if request.header("authorization") != Some(&credential) {
            return MockResponse::status(401).header("WWW-Authenticate", "Basic realm=\"index\"");
        }
        let found = responses.iter().find(|(path, _)| path == request.path());
        found.map_or_else(|| MockResponse::status(404), |(_, response)| response.clone())
    });
    upstream
}

#[tokio::test]
async fn documented_pip_commands_do_what_is_said() {
    let pki = Pki::new();
    let upstream = index(&pki).await;
    let api = Api {
        service: "pypi",
        documented: "pypi.example.com",
        here: &format!("localhost:{}", upstream.address().port()),
        secret: "pa55",
    };
    Stage::set("pip", &pki, api).await.run_all(async |_| ()).await;
}
