//! deploy/Dockerfile and scripts/image: the image is built, inspected, and run as a cluster would run it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;

use super::podman::{Podman, succeed};
use super::static_binary::static_binary;
use crate::harness::{MockUpstream, Pki, Request, assert_eventually, tool};

pub(super) const IMAGE: &str = "localhost/sidekey:test";
const APP: &str = "localhost/app:test";
const PASSWORD: &str = "pässword:from-a-file";

#[test]
fn image_contains_only_the_program_and_ca_roots() {
    let podman = Podman::new();
    build_image(&podman);

    let container = podman.run(["create", "--pull", "never", IMAGE]);
    let archive = TempDir::new().unwrap();
    let archive = archive.path().join("image.tar");
    podman.run(["export", "--output", archive.to_str().unwrap(), container.trim_end()]);
    let tar = |what: &[&str]| succeed(Command::new(tool("tar")).arg("--file").arg(&archive).args(what)).0;
    let listing = tar(&["--list"]);
    let mut files: Vec<_> = listing.lines().filter(|name| !name.ends_with('/')).collect();
    files.sort_unstable();
    assert_eq!(files, ["etc/ssl/certs/ca-certificates.crt", "sidekey"]);
    let roots = tar(&["--extract", "--to-stdout", "etc/ssl/certs/ca-certificates.crt"]);
    assert!(roots.contains("-----BEGIN CERTIFICATE-----"));

    let config: Value = serde_json::from_str(&podman.inspect(IMAGE, "{{json .Config}}")).unwrap();
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/sidekey"]));
    assert_eq!(config["Cmd"], serde_json::json!(["run"]));
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    for name in ["title", "description", "licenses", "revision"] {
        assert!(label(name).as_str().is_some_and(|text| !text.is_empty()), "no {name}");
    }
    let check: Value = serde_json::from_str(&podman.inspect(IMAGE, "{{json .HealthCheck}}")).unwrap();
    assert_eq!(check["Test"], serde_json::json!(["CMD", "/sidekey", "probe", "/livez"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn image_serves_an_app_from_a_hardened_container() {
    let podman = Podman::new();
    build_image(&podman);
    podman.image_of(&tool("busybox"), APP);
    let pki = Pki::new();
    let upstream = MockUpstream::tls(&pki).await;
    let (config, secrets) = mounts(&upstream, &pki);

    // The app shares Sidekey's network, as in a Pod. It is the host's, so that neither bridge nor firewall
    // matters.
    podman.run(
        ["run", "--detach", "--name", "sidekey", "--pull", "never", "--network", "host"]
            .into_iter()
            .chain(["--read-only", "--read-only-tmpfs=false", "--cap-drop", "all"])
            .chain(["--security-opt", "no-new-privileges"])
            .chain(["--volume", &format!("{}:/etc/sidekey:ro", config.path().display())])
            .chain(["--volume", &format!("{}:/run/secrets/sidekey:ro", secrets.path().display())])
            .chain(["--no-healthcheck", IMAGE]),
    );
    assert_eventually(Duration::from_secs(30), "it listens", async || listeners(&podman).len() == 2).await;
    let address = |kind| listeners(&podman).into_iter().find(|(is, _)| is == kind).expect(kind).1;

    for path in ["/livez", "/readyz"] {
        let response = Request::get(format!("http://{}{path}", address("admin"))).send().await;
        assert_eq!(response.status, 200, "{path}: {}", response.text());
    }
    assert_hardened(&podman);

    let url = format!("http://{}/billing/v1/x", address("proxy"));
    let said = podman.run(
        ["run", "--rm", "--pull", "never", "--network", "host", "--user", "10001:10001", "--read-only", APP]
            .into_iter()
            .chain(["wget", "-q", "-O", "-", &url]),
    );
    assert_eq!(said, "ok", "the upstream's answer");
    let request = upstream.only_request();
    assert_eq!(request.target, "/api/v1/x");
    let expected = base64::prelude::BASE64_STANDARD.encode(format!("svc-orders:{PASSWORD}"));
    assert_eq!(request.header("authorization"), Some(format!("Basic {expected}").as_str()));

    // `stop` sends SIGTERM, then SIGKILL, which would show as exit code 137.
    podman.run(["stop", "--time", "30", "sidekey"]);
    assert_eq!(podman.inspect("sidekey", "{{.State.ExitCode}}"), "0", "{}", podman.logs("sidekey"));
    assert!(!podman.logs("sidekey").contains(PASSWORD));
}

/// The folders that a ConfigMap and a Secret are mounted as, with a Secret's owner and mode.
fn mounts(upstream: &MockUpstream, pki: &Pki) -> (TempDir, TempDir) {
    let (config, secrets) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let services = format!(
        "listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: {{ format: json }}
services:
  billing:
    upstream: {}/api
    tls: {{ ca_file: /etc/sidekey/ca.pem }}
    auth: {{ type: basic, username: svc-orders, password: {{ file: /run/secrets/sidekey/billing-password }} }}
",
        upstream.url()
    );
    fs::write(config.path().join("services.yaml"), services).unwrap();
    fs::write(config.path().join("ca.pem"), pki.ca_pem()).unwrap();
    let password = secrets.path().join("billing-password");
    fs::write(&password, PASSWORD).unwrap();
    // Only root may give a file to another group; otherwise the container's user is neither owner nor in the
    // group.
    let mode = if chown(&password, None, Some(65532)).is_ok() { 0o440 } else { 0o444 };
    fs::set_permissions(&password, Permissions::from_mode(mode)).unwrap();
    for folder in [&config, &secrets] {
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    }
    (config, secrets)
}

/// Kind and address of each listener in Sidekey's log.
fn listeners(podman: &Podman) -> Vec<(String, String)> {
    let log = podman.logs("sidekey");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    events
        .filter(|event| event["message"] == "listening")
        .filter_map(|event| Some((text(&event["listener.kind"])?, text(&event["listener.address"])?)))
        .collect()
}

/// Checks the state in the kernel, not the options of the command.
fn assert_hardened(podman: &Podman) {
    let process = podman.run(["top", "sidekey", "user", "group", "capeff", "capbnd", "seccomp"]);
    let words: Vec<_> = process.lines().nth(1).expect("one process").split_whitespace().collect();
    assert_eq!(words, ["65532", "65532", "none", "none", "filter"], "{process}");

    let proc = PathBuf::from("/proc").join(podman.inspect("sidekey", "{{.State.Pid}}"));
    let status = fs::read_to_string(proc.join("status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
    let mounts = fs::read_to_string(proc.join("mounts")).unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).expect("a root");
    assert!(root.split(' ').nth(3).unwrap().split(',').any(|option| option == "ro"), "{root}");
}

pub(super) fn build_image(podman: &Podman) {
    let mut script = podman.environment(root().join("scripts/image"));
    script.arg("--binary").arg(static_binary()).args(["--tag", IMAGE, "--engine"]).arg(tool("podman"));
    succeed(script.arg("--").args(podman.flags()));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
