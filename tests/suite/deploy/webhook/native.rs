//! The native shape, which the API server of the tests does not know: on requests as it sends them, and
//! validated for versions that do.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sidekey::inject::{Operation, apply};

use super::setup::Replica;
use crate::harness::{Curl, Pki, run};

const NAME: &str = "sidekey-webhook.sidekey.svc";
/// Versions that have native sidecars.
const KUBERNETES: [&str; 4] = ["1.29", "1.32", "1.34", "1.37"];

/// The requests that were recorded: a pod of its own, one of a ReplicaSet, one of a Job, one with init
/// containers.
const RECORDED: [&str; 4] = ["pod.json", "replicaset-pod.json", "job-pod.json", "init-pod.json"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn operation(operation: &Value) -> Operation {
    let (path, value) = (operation["path"].as_str().unwrap().to_owned(), operation["value"].clone());
    match operation["op"].as_str().unwrap() {
        "add" => Operation::Add { path, value },
        "replace" => Operation::Replace { path, value },
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn recorded_pods_get_a_native_sidecar_that_is_valid() {
    let pki = Pki::new();
    let files = pki.server_files(&[NAME]);
    let webhook = Replica::with_files(&files.certificate, &files.key, &["--namespace", "sidekey"]).await;
    let port = webhook.address().rsplit_once(':').unwrap().1;
    let (url, resolve) =
        (format!("https://{NAME}:{port}/inject?timeout=10s"), format!("{NAME}:{port}:127.0.0.1"));
    let ca_file = pki.ca_file();
    let options = [
        "--cacert",
        &ca_file,
        "--resolve",
        &resolve,
        "--header",
        "Content-Type: application/json",
        "--data-binary",
        "@-",
        &url,
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut manifests = Vec::new();
    for name in RECORDED {
        let mut review: Value = serde_json::from_str(
            &std::fs::read_to_string(root().join("tests/data/webhook").join(name)).unwrap(),
        )
        .unwrap();
        let answer = Curl::call(&options, review.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let response = &answer["response"];
        assert_eq!(
            (&response["uid"], &response["allowed"]),
            (&review["request"]["uid"], &json!(true)),
            "{answer}"
        );
        let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        let patch: Vec<Value> = serde_json::from_slice(&patch).unwrap();
        let operations: Vec<_> = patch.iter().map(operation).collect();
        apply(&mut review["request"]["object"], &operations).unwrap();

        let pod = &review["request"]["object"];
        let first = &pod["spec"]["initContainers"][0];
        assert_eq!(
            (&first["name"], &first["restartPolicy"]),
            (&json!("sidekey"), &json!("Always")),
            "{name}"
        );
        assert!(first["startupProbe"].is_object(), "{name}: the next container waits for it");
        let manifest = folder.path().join(name);
        // What the API server does afterwards.
        let mut named = pod.clone();
        named["metadata"]["name"] = "app".into();
        std::fs::write(&manifest, named.to_string()).unwrap();
        manifests.push(manifest);

        let again = Curl::call(&options, review.to_string().as_bytes()).await;
        let again: Value = serde_json::from_slice(&again.body).unwrap();
        assert_eq!(again["response"], json!({ "uid": review["request"]["uid"], "allowed": true }), "{name}");
    }
    for version in KUBERNETES {
        let mut command = Command::new(root().join("tests/.venv-kubernetes/bin/kubernetes-validate"));
        command.args(["--strict", "-k", version]).args(&manifests);
        let output = run(command, b"").await;
        let text = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "Kubernetes {version}: {text}");
        assert_eq!(text.matches(" passed for resource ").count(), RECORDED.len(), "{text}");
    }
}
