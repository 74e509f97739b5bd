//! docs/KUBERNETES.md: its commands run, and its YAML is valid.
//!
//! Commands that need a cluster are run as far as they can be without one: `kubectl create` and `helm install` as dry runs,
//! `kubectl apply --kustomize` as `kubectl kustomize`. A command that is not known here fails.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_yaml::Value;

use super::objects::parse;
use super::rendered::deploy;
use crate::harness::{Process, assert_eventually, helm, installed, kubernetes_validate, tool};

const PAGE: &str = include_str!("../../../../docs/KUBERNETES.md");

/// In the place of each program, and of `FILE` the real one.
const STAND_INS: [(&str, &str); 4] = [
    (
        "kubectl",
        r#"case $1 in
create) exec FILE "$@" --dry-run=client --output yaml ;;
apply) [ "$2" = --kustomize ] && exec FILE kustomize "$3" ;;
label) [ $# -ge 4 ] && exit 0 ;;
get) [ "$2 $3" = "secret sidekey-gateway-tls" ] && echo c2VjcmV0 && exit 0 ;;
esac
echo "kubectl $*: not known to the test" >&2; exit 1"#,
    ),
    (
        "helm",
        r#"case $1 in
install) exec FILE "$@" --dry-run=client ;;
upgrade) [ "$2" = --install ] && shift 2 && exec FILE install "$@" --dry-run=client ;;
test) [ -n "$2" ] && exit 0 ;;
esac
echo "helm $*: not known to the test" >&2; exit 1"#,
    ),
    ("make", r#"[ "$*" = image ] || exit 1"#),
    ("docker", r#"[ "$1 $2 $4" = "compose --file up" ] && [ -f "$3" ]"#),
];

#[test]
fn commands_of_the_page_run() {
    let dir = folder();
    for block in blocks("sh") {
        let output = bash(dir.path(), &block);
        assert!(output.0, "{block}\n{}", output.1);
    }
    assert!(
        !bash(dir.path(), "kubectl aply --kustomize deploy").0,
        "the stand-ins reject what they do not know"
    );
}

#[test]
fn app_calls_the_service_of_the_release() {
    let dir = folder();
    let block = blocks("sh").into_iter().find(|block| block.contains("--values gateway.yaml")).unwrap();
    let said = bash(dir.path(), &block).1;
    let url = PAGE.split_once("BILLING_URL, value: \"").unwrap().1.split_once("/billing\"").unwrap().0;
    assert!(said.contains(&format!("Apps call {url}/SERVICE")), "{url}: {said}");
    assert!(said.contains("helm test sidekey ") && block.contains("helm test sidekey "), "{said}");
}

#[tokio::test]
async fn secret_of_the_store_is_accepted_by_redis() {
    let dir = folder();
    let block = blocks("sh").into_iter().find(|block| block.contains("users.acl")).unwrap();
    let said = bash(dir.path(), &block).1;
    let objects =
        said.split("apiVersion: v1\n").skip(1).map(|text| serde_yaml::from_str::<Value>(text).unwrap());
    let secret = objects.into_iter().find(|object| object["metadata"]["name"] == "sidekey-store").unwrap();
    let value = |key: &str| {
        use base64::Engine as _;
        let encoded = secret["data"][key].as_str().unwrap_or_else(|| panic!("no {key}"));
        String::from_utf8(base64::prelude::BASE64_STANDARD.decode(encoded).unwrap()).unwrap()
    };
    assert!(value("fleet-key").len() >= 32);
    let (acl, socket) = (dir.path().join("users.acl"), dir.path().join("redis.sock"));
    fs::write(&acl, value("users.acl")).unwrap();
    let mut redis = Command::new(tool("redis-server"));
    redis.args(["--port", "0", "--save", "", "--unixsocket"]).arg(&socket).arg("--aclfile").arg(&acl);
    let _redis = Process::spawn("redis", redis.current_dir(dir.path()));
    let ask = |arguments: &[&str]| {
        let mut cli = Command::new(tool("redis-cli"));
        let output = cli.arg("-s").arg(&socket).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let password = value("password");
    let as_sidekey = ["--no-auth-warning", "--user", "sidekey", "--pass", &password];
    let with = |command: &[&str]| ask(&[as_sidekey.as_slice(), command].concat());
    assert_eventually(Duration::from_secs(30), "a user", async || with(&["PING"]).trim() == "PONG").await;
    assert_eq!(with(&["SET", "{sidekey}:a", "b"]).trim(), "OK");
    assert!(with(&["SET", "other", "b"]).contains("NOPERM"), "no other names");
    assert!(with(&["FLUSHALL"]).contains("NOPERM"), "no other commands");
    assert!(!ask(&["PING"]).contains("PONG"), "the default user is off");
}

#[test]
fn yaml_of_the_page_is_valid() {
    let dir = folder();
    let (mut configurations, mut values, mut manifests) = (0, 0, 0);
    for block in blocks("yaml") {
        let document: Value = serde_yaml::from_str(&block).unwrap();
        if document.get("kind").is_some() {
            let output = kubernetes_validate("1.29", &block);
            assert!(output.status.success(), "{block}: {}", String::from_utf8_lossy(&output.stdout));
            manifests += 1;
        } else if document.get("gateway").is_some() {
            let file = dir.path().join("values.yaml");
            fs::write(&file, &block).unwrap();
            let chart = deploy().join("helm/sidekey");
            let output =
                helm(["template".as_ref(), "a".as_ref(), chart.as_os_str(), "-f".as_ref(), file.as_os_str()]);
            assert!(output.status.success(), "{block}: {}", String::from_utf8_lossy(&output.stderr));
            let rendered = parse(&String::from_utf8(output.stdout).unwrap());
            let map = rendered.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
            check(dir.path(), map["data"]["services.yaml"].as_str().unwrap());
            values += 1;
        } else {
            check(dir.path(), &block);
            configurations += 1;
        }
    }
    assert_eq!((configurations, values, manifests), (1, 1, 1));
}

#[test]
fn paths_and_links_of_the_page_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let words = PAGE.split(|c: char| c.is_whitespace() || "`()[],;".contains(c));
    let mut paths = 0;
    for word in words {
        let path = match word.split('/').next().unwrap_or_default() {
            "deploy" => root.join(word.trim_end_matches(['.', ':'])),
            "components" | "examples" if word.contains('/') && !word.ends_with('/') => {
                deploy().join("kubernetes").join(word.trim_end_matches(['.', ':']))
            }
            _ => continue,
        };
        assert!(path.exists(), "{}", path.display());
        paths += 1;
    }
    assert!(paths > 20, "{paths} paths");
}

fn check(dir: &Path, services: &str) {
    let file = dir.join("checked.yaml");
    fs::write(&file, services).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    let output = check.args(["check", "--without-secrets", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{services}\n{said}");
}

/// Whether commands succeed, and what they say.
fn bash(folder: &Path, commands: &str) -> (bool, String) {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new(tool("bash"));
    bash.args(["-euo", "pipefail", "-c", commands]).env("PATH", path).env("KUBECONFIG", "/dev/null");
    let output = bash.current_dir(folder).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A folder as the reader of the page has it: the repository, the files of the steps before, and the programs.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    symlink(deploy(), dir.path().join("deploy")).unwrap();
    let yaml = blocks("yaml");
    fs::write(dir.path().join("services.yaml"), &yaml[0]).unwrap();
    let values =
        yaml.iter().find(|block| block.starts_with("# gateway.yaml")).expect("values of the gateway");
    fs::write(dir.path().join("gateway.yaml"), values).unwrap();
    for secret in ["billing-token", "billing-password", "crm-client-secret"] {
        fs::write(dir.path().join(secret), "secret").unwrap();
    }
    fs::create_dir(dir.path().join("bin")).unwrap();
    for (name, script) in STAND_INS {
        let file = match name {
            "kubectl" | "helm" => installed(&format!("node_modules/.kubernetes/{name}/{name}")),
            _ => name.into(),
        };
        let path = dir.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{}\n", script.replace("FILE", file.to_str().unwrap()))).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

/// The code blocks of a language, without the indentation of the list that they are in.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() != format!("```{language}") {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let content = lines.by_ref().take_while(|line| line.trim_start() != "```");
        let content = content.flat_map(|line| [line.get(indent..).unwrap_or_default(), "\n"]);
        blocks.push(content.collect());
    }
    assert!(!blocks.is_empty());
    blocks
}
