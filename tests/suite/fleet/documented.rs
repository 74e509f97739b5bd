//! What docs/FLEET.md shows works as it stands there: the rule of the user, and the store and the configuration that it leads to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_yaml::Value;

use super::setup::{KEY, Provider, client_credentials, config, start};
use crate::harness::{Pki, Process, assert_eventually, free_port, tool};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The block of the page in this language that begins so.
fn block(language: &str, start: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/FLEET.md")).unwrap();
    let blocks = page
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    blocks
        .into_iter()
        .find(|block| block.starts_with(start))
        .unwrap_or_else(|| panic!("no block: {start}"))
        .to_owned()
}

/// A file of the gateway that the page leads to.
fn gateway(name: &str) -> String {
    let path = format!("deploy/kubernetes/gateway/{name}");
    let page = std::fs::read_to_string(root().join("docs/FLEET.md")).unwrap();
    assert!(page.contains(&format!("(../{path})")), "no link to {path}");
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The rule of the user in one line, with this password.
pub fn user_rule(password: &str) -> String {
    let rule = block("text", "user sidekey on").replace("PASSWORD", password);
    rule.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_store_serves_the_documented_configuration() {
    let (pki, folder) = (Pki::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let files = pki.server_files(&["localhost"]);
    std::fs::write(path("users.acl"), format!("user default off\n{}\n", user_rule("pa55-CANARY"))).unwrap();
    std::fs::write(path("password"), "pa55-CANARY").unwrap();
    std::fs::write(path("fleet-key"), KEY).unwrap();
    std::fs::write(path("ca.crt"), pki.ca_pem()).unwrap();
    std::fs::create_dir(path("data")).unwrap();
    let manifests = gateway("store.yaml");
    let first: Value = serde_yaml::from_str(manifests.split("\n---\n").next().unwrap()).unwrap();
    let arguments = first["spec"]["template"]["spec"]["containers"][0]["args"].as_sequence().unwrap().clone();
    let (certificate, key) = (files.certificate.to_str().unwrap(), files.key.to_str().unwrap());
    let mut store = None;
    let mut port = 0;
    while store.is_none() {
        port = free_port();
        let arguments = arguments.iter().map(|argument| match argument.as_str().unwrap() {
            "6379" => port.to_string(),
            "/tls/tls.crt" => certificate.to_owned(),
            "/tls/tls.key" => key.to_owned(),
            "/acl/users.acl" => path("users.acl"),
            "/data" => path("data"),
            argument => argument.to_owned(),
        });
        // Redis 7.0 has the same options; the Valkey of the tests is built without TLS.
        let mut command = Command::new(tool("redis-server"));
        command.args(arguments).args(["--bind", "127.0.0.1"]);
        let mut process = Process::spawn("redis-server", &mut command);
        let mut is_ready = false;
        assert_eventually(Duration::from_secs(20), "the store runs", async || {
            is_ready = process.output().contains("Ready to accept connections");
            is_ready || process.exit_status().is_some()
        })
        .await;
        store = is_ready.then_some(process);
    }
    let services = gateway("services.yaml");
    let (_, shared) = services.split_once("\nshared:\n").unwrap();
    let shared = format!("shared:\n{}", shared.split("\n\n").next().unwrap());
    let folder = folder.path().to_str().unwrap();
    let shared = shared
        .replace("sidekey-store:6379", &format!("localhost:{port}"))
        .replace("/run/secrets/sidekey-store", folder)
        .replace("/run/sidekey/store-ca", folder);
    let provider = Provider::new(Duration::from_secs(3600));
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let processes = start(&config(&shared, &upstream, &client_credentials(&endpoint)), 2).await;
    for process in &processes {
        assert_eq!(process.get("/api/x").await.status, 200);
        process.logged("shared store connected").await;
        assert!(!process.log().contains("may remove refresh tokens"), "{}", process.log());
    }
    assert_eq!(provider.requests(), 1);
}
