//! A Kubernetes control plane: etcd, the API server, and the controllers that make pods. There is no node: no
//! pod starts.
//!
//! The API server reaches services through a proxy of the test (`EgressSelectorConfiguration`), which does
//! what kube-proxy does: it connects to one of the replicas that are ready.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use super::super::client::Request;
use super::super::process::Process;
use super::super::{Pki, assert_eventually, port};
use super::{Curl, installed, tool};

const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a replica is asked whether it is ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// The issuer of the tokens of service accounts, which is their audience as well.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// A token of a cluster administrator.
const ADMIN: &str = "admin-of-the-test";

/// A running control plane.
pub struct Kubernetes {
    pki: Pki,
    dir: TempDir,
    api_port: u16,
    processes: Vec<Process>,
    replicas: Replicas,
}

/// The replicas of the one service.
type Replicas = Arc<Mutex<Vec<Arc<Replica>>>>;

/// A replica of the service, as the endpoints of a service have it.
struct Replica {
    address: String,
    admin: String,
    is_ready: AtomicBool,
}

/// The status and the object of an answer.
#[derive(Debug)]
pub struct ApiAnswer {
    pub status: u16,
    pub object: Value,
    /// The warnings of webhooks.
    pub warnings: Vec<String>,
}

impl ApiAnswer {
    /// The message of a `Status`.
    pub fn message(&self) -> &str {
        self.object["message"].as_str().unwrap_or_default()
    }

    /// The names of the containers of a pod.
    pub fn containers(&self) -> Vec<&str> {
        containers(&self.object)
    }
}

/// The names of the containers of a pod.
pub fn containers(pod: &Value) -> Vec<&str> {
    let all = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|container| container["name"].as_str().unwrap()).collect()
}

impl Kubernetes {
    pub async fn start() -> Self {
        let binary = installed(".kubernetes/kube-apiserver");
        let dir = TempDir::with_prefix("sidekey-kubernetes-").unwrap();
        let pki = Pki::new();
        let replicas = Replicas::default();
        tokio::spawn(proxy(UnixListener::bind(dir.path().join("egress.sock")).unwrap(), replicas.clone()));
        let mut kubernetes = Self { pki, dir, api_port: 0, processes: Vec::new(), replicas };
        kubernetes.write_files().await;
        // Another process may take a free port first.
        for _ in 0..5 {
            kubernetes.processes.clear();
            kubernetes.spawn(&binary);
            if kubernetes.is_up().await {
                return kubernetes;
            }
        }
        panic!("kube-apiserver finds no free port");
    }

    async fn write_files(&self) {
        let write = |name: &str, content: &str| std::fs::write(self.path(name), content).unwrap();
        write("tokens.csv", &format!("{ADMIN},admin,admin,\"system:masters\"\n"));
        let egress = json!({
            "apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration",
            "egressSelections": [{ "name": "cluster", "connection": {
                "proxyProtocol": "HTTPConnect", "transport": { "uds": { "udsName": self.path("egress.sock") } },
            } }],
        });
        write("egress.json", &egress.to_string());
        let mut command = Command::new(tool("openssl"));
        command.args(["genrsa", "-traditional", "-out"]).arg(self.path("service-accounts.key")).arg("2048");
        let made = super::super::process::run(command, b"").await;
        assert!(made.status.success(), "{made:?}");
    }

    fn spawn(&mut self, binary: &PathBuf) {
        let [clients, peers, api] = [(); 3].map(|()| port::free());
        let [clients, peers] = [clients, peers].map(|port| format!("http://127.0.0.1:{port}"));
        let mut etcd = Command::new(tool("etcd"));
        etcd.args([
            "--data-dir",
            &self.path("etcd"),
            "--listen-client-urls",
            &clients,
            "--advertise-client-urls",
            &clients,
        ])
        .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("default={peers}"), "--unsafe-no-fsync"]);
        let files = self.pki.server_files(&["localhost", "127.0.0.1"]);
        let key = self.path("service-accounts.key");
        let mut server = Command::new(binary);
        server
            .args([
                "--etcd-servers",
                &clients,
                "--secure-port",
                &api.to_string(),
                "--bind-address",
                "127.0.0.1",
            ])
            .arg("--tls-cert-file")
            .arg(&files.certificate)
            .arg("--tls-private-key-file")
            .arg(&files.key)
            .args(["--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", ISSUER])
            .args(["--service-account-key-file", &key, "--service-account-signing-key-file", &key])
            .args(["--token-auth-file", &self.path("tokens.csv"), "--authorization-mode", "RBAC"])
            .args(["--egress-selector-config-file", &self.path("egress.json")])
            // It waits for tokens that a controller makes.
            .args(["--disable-admission-plugins", "ServiceAccount"]);
        self.api_port = api;
        self.processes =
            vec![Process::spawn("etcd", &mut etcd), Process::spawn("kube-apiserver", &mut server)];
    }

    /// Waits until the API server is ready, or one of the processes ends.
    async fn is_up(&mut self) -> bool {
        let mut is_up = false;
        assert_eventually(START_TIMEOUT, "the API server is ready", async || {
            let has_ended = self.processes.iter_mut().any(|process| process.exit_status().is_some());
            is_up = TcpStream::connect(("127.0.0.1", self.api_port)).await.is_ok()
                && self.get("/readyz").await.status == 200;
            is_up || has_ended
        })
        .await;
        is_up
    }

    /// Starts controllers: the ones that make pods of Deployments and Jobs are `deployment`, `replicaset` and `job`.
    pub fn start_controllers(&mut self, names: &[&str]) {
        let mut command = Command::new(installed(".kubernetes/kube-controller-manager"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(["--controllers", &names.join(",")]).args([
            "--leader-elect=false",
            "--port=0",
            "--secure-port=0",
        ]);
        self.processes.push(Process::spawn("kube-controller-manager", &mut command));
    }

    /// The settings with which a client is administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": {
                "server": self.url(), "certificate-authority": self.pki.ca_file(),
            } }],
            "users": [{ "name": "admin", "user": { "token": ADMIN } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "admin" } }],
        });
        let file = self.dir.path().join("kubeconfig");
        std::fs::write(&file, config.to_string()).unwrap();
        file
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    pub fn port(&self) -> u16 {
        self.api_port
    }

    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    pub async fn get(&self, path: &str) -> ApiAnswer {
        self.send("GET", path, &Value::Null).await
    }

    /// The text at a path that has no object.
    pub async fn text(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url());
        let header = format!("Authorization: Bearer {ADMIN}");
        let answer = Curl::call(&["--cacert", &self.pki.ca_file(), "--header", &header, &url], b"").await;
        assert_eq!(answer.status, 200, "{path}");
        String::from_utf8(answer.body).unwrap()
    }

    /// Calls the API as administrator.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> ApiAnswer {
        let media_type = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let url = format!("{}{path}", self.url());
        let [authorization, content_type] =
            [format!("Authorization: Bearer {ADMIN}"), format!("Content-Type: {media_type}")];
        let ca_file = self.pki.ca_file();
        let mut arguments = vec!["--http1.1", "--cacert", &ca_file, "--request", method, "--include", &url];
        arguments.extend(["--header", &authorization, "--header", &content_type, "--header", "Expect:"]);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        if !body.is_empty() {
            arguments.extend(["--data-binary", "@-"]);
        }
        ApiAnswer::read(&Curl::call(&arguments, body.as_bytes()).await)
    }
    /// Creates an object, which must be possible.
    pub async fn create(&self, path: &str, object: &Value) -> Value {
        let answer = self.send("POST", path, object).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.object);
        answer.object
    }

    /// Creates a namespace with these labels, and with the one that newer API servers give each namespace by
    /// themselves.
    pub async fn create_namespace(&self, name: &str, labels: &[(&str, &str)]) {
        let mut all = json!({ "kubernetes.io/metadata.name": name });
        for (key, value) in labels {
            all[*key] = (*value).into();
        }
        let object = json!({ "metadata": { "name": name, "labels": all } });
        self.create("/api/v1/namespaces", &object).await;
    }

    /// Creates the objects of a manifest.
    pub async fn apply(&self, manifest: &str) {
        for document in serde_yaml::Deserializer::from_str(manifest) {
            let mut object = <Value as serde::Deserialize>::deserialize(document).unwrap();
            if object["apiVersion"] == "policy/v1" {
                // What the API server of the tests has.
                object["apiVersion"] = "policy/v1beta1".into();
            }
            if object["kind"] == "Namespace" {
                let name = object["metadata"]["name"].as_str().unwrap();
                self.create_namespace(name, &[]).await;
                continue;
            }
            self.create(&collection(&object), &object).await;
        }
    }

    /// A token of a service account, as a projected volume has it.
    pub async fn token(&self, namespace: &str, account: &str, audience: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let spec = json!({ "audiences": [audience], "expirationSeconds": 600 });
        let answer = self.create(&path, &json!({ "spec": spec })).await;
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// Has the service reach a replica, whenever that is ready.
    pub fn add_replica(&self, address: &str, admin: &str) {
        let replica =
            Replica { address: address.into(), admin: admin.into(), is_ready: AtomicBool::new(false) };
        let replica = Arc::new(replica);
        self.replicas.lock().push(replica.clone());
        tokio::spawn(async move {
            loop {
                let answer = Request::get(format!("http://{}/readyz", replica.admin)).try_send().await;
                replica.is_ready.store(answer.is_ok_and(|answer| answer.status == 200), Ordering::Relaxed);
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
        });
    }

    /// The number of replicas that are ready.
    pub fn ready_replicas(&self) -> usize {
        self.replicas.lock().iter().filter(|replica| replica.is_ready.load(Ordering::Relaxed)).count()
    }
}

impl ApiAnswer {
    /// Reads what curl prints with `--include`.
    fn read(answer: &Curl) -> Self {
        let text = answer.text();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let warning =
            |line: &str| line.strip_prefix("Warning: 299 - ").map(|text| text.trim_matches('"').to_owned());
        Self {
            status: answer.status,
            object: serde_json::from_str(body).unwrap_or(Value::Null),
            warnings: head.lines().filter_map(warning).collect(),
        }
    }
}

/// The path at which an object is created.
fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap();
    let kind = object["kind"].as_str().unwrap().to_lowercase();
    let kind = kind.strip_suffix('y').map_or_else(|| format!("{kind}s"), |start| format!("{start}ies"));
    let root = if version.contains('/') { "apis" } else { "api" };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{kind}"),
        None => format!("/{root}/{version}/{kind}"),
    }
}

/// Accepts `CONNECT` of the API server, and connects to the replicas in turn.
async fn proxy(listener: UnixListener, replicas: Replicas) {
    let turn = Arc::new(AtomicUsize::new(0));
    while let Ok((connection, _)) = listener.accept().await {
        let (replicas, turn) = (replicas.clone(), turn.clone());
        tokio::spawn(async move {
            // An error closes the connection, as a replica that is gone does.
            let _ = connect(connection, &replicas, &turn).await;
        });
    }
}

async fn connect(mut connection: UnixStream, replicas: &Replicas, turn: &AtomicUsize) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    assert!(head.starts_with(b"CONNECT "), "{}", String::from_utf8_lossy(&head));
    let ready: Vec<_> =
        replicas.lock().iter().filter(|replica| replica.is_ready.load(Ordering::Relaxed)).cloned().collect();
    if ready.is_empty() {
        return connection.write_all(b"HTTP/1.1 503 No replica is ready\r\n\r\n").await;
    }
    let replica = &ready[turn.fetch_add(1, Ordering::Relaxed) % ready.len()];
    let mut replica = TcpStream::connect(&replica.address).await?;
    connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut connection, &mut replica).await.map(drop)
}
