//! A cluster with the manifests of the webhook, replicas of the webhook, and pods.

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{ApiAnswer, ISSUER, Kubernetes, Process, Request, Sidekey, TIMEOUT, assert_eventually};

/// The manifests, in the order in which they are applied.
const MANIFESTS: [&str; 4] = ["webhook.yaml", "rbac.yaml", "networkpolicy.yaml", "configuration.yaml"];
/// The path of the pods of the namespace that the tests use.
pub const PODS: &str = "/api/v1/namespaces/shop/pods";
/// The label, and the annotation, that asks for a sidecar.
pub const INJECT: &str = "sidekey.io/inject";

pub fn manifest(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes/webhook");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// A control plane with the webhook's objects, and no replica; the namespace `shop`.
pub async fn cluster() -> Kubernetes {
    let kubernetes = Kubernetes::start().await;
    for name in MANIFESTS {
        kubernetes.apply(&manifest(name)).await;
    }
    kubernetes.create_namespace("shop", &[]).await;
    let system = json!({ "metadata": { "labels": { "kubernetes.io/metadata.name": "kube-system" } } });
    assert_eq!(kubernetes.send("PATCH", "/api/v1/namespaces/kube-system", &system).await.status, 200);
    kubernetes
}

/// A pod with this name, labels and annotations.
pub fn pod(name: &str, labels: &Value, annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "labels": labels, "annotations": annotations },
        "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
    })
}

/// A pod that asks for a sidecar.
pub fn asking(name: &str) -> Value {
    pod(name, &json!({ INJECT: "enabled" }), &json!({}))
}

/// Creates a pod in the namespace `shop`.
pub async fn create(kubernetes: &Kubernetes, pod: &Value) -> ApiAnswer {
    kubernetes.send("POST", PODS, pod).await
}

/// A replica of the webhook.
pub struct Replica {
    process: Process,
    address: String,
    admin: String,
    /// The folder of its service account.
    _account: TempDir,
}

impl Replica {
    /// Starts one that makes its own certificate, as the manifest does. The service reaches it as soon as it
    /// is ready.
    pub async fn start(kubernetes: &Kubernetes, options: &[&str]) -> Self {
        let account = TempDir::with_prefix("sidekey-account-").unwrap();
        let token = kubernetes.token("sidekey", "sidekey-webhook", ISSUER).await;
        let ca = kubernetes.pki().ca_pem();
        for (name, content) in [("token", token.as_str()), ("ca.crt", &ca), ("namespace", "sidekey")] {
            std::fs::write(account.path().join(name), content).unwrap();
        }
        let folder = account.path().to_str().unwrap().to_owned();
        let port = kubernetes.port().to_string();
        let environment =
            [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", port.as_str())];
        let options = [&["--service-account", &folder], options].concat();
        let replica = Self::spawn(&options, &environment, account).await;
        kubernetes.add_replica(&replica.address, &replica.admin);
        replica
    }

    /// Starts one with a certificate in files.
    pub async fn with_files(certificate: &Path, key: &Path, options: &[&str]) -> Self {
        let files = ["--cert-file", certificate.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
        Self::spawn(&[&files, options].concat(), &[], TempDir::new().unwrap()).await
    }

    async fn spawn(options: &[&str], environment: &[(&str, &str)], account: TempDir) -> Self {
        let fixed = ["webhook", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let arguments = [&fixed, ["--shutdown-delay", "1s"].as_slice(), options].concat();
        let environment = [environment, &[("RUST_LOG", "debug")]].concat();
        let process = Sidekey::spawn(&arguments, &environment);
        let mut replica = Self { process, address: String::new(), admin: String::new(), _account: account };
        assert_eventually(TIMEOUT, "the webhook listens", async || {
            for event in replica.events().iter().filter(|event| event["message"] == "listening") {
                let address = event["listener.address"].as_str().unwrap().to_owned();
                match event["listener.kind"].as_str() {
                    Some("admin") => replica.admin = address,
                    _ => replica.address = address,
                }
            }
            !replica.admin.is_empty()
        })
        .await;
        replica
    }

    /// Waits until it is ready, and the service has learned of it.
    pub async fn ready(&self) {
        let is_ready = async || Request::get(self.admin_url("/readyz")).send().await.status == 200;
        assert_eventually(TIMEOUT, "the webhook is ready", is_ready).await;
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    pub fn log(&self) -> String {
        self.process.output()
    }

    pub fn events(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The number of reviews with an outcome.
    pub async fn reviews(&self, outcome: &str) -> u64 {
        let text = Request::get(self.admin_url("/metrics")).send().await.text();
        let start = format!("sidekey_webhook_reviews_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)).expect("a series").parse().unwrap()
    }

    /// Sends SIGTERM, as the kubelet does, and waits for the end.
    pub async fn terminate(&mut self) {
        self.process.signal(Signal::SIGTERM);
        assert!(self.process.ended(TIMEOUT).await.success());
    }
}

/// Starts one replica, and waits until pods are reviewed by it.
pub async fn ready_replica(kubernetes: &Kubernetes) -> Replica {
    let replica = Replica::start(kubernetes, &[]).await;
    replica.ready().await;
    assert_eventually(TIMEOUT, "the service has the replica", async || kubernetes.ready_replicas() == 1)
        .await;
    replica
}
