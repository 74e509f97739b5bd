//! Two replicas: one certificate, its rotation, and the end of a replica, while pods are created.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::setup::{PODS, Replica, asking, cluster, ready_replica};
use crate::harness::{Kubernetes, TIMEOUT, assert_eventually, openssl};

const SECRET: &str = "/api/v1/namespaces/sidekey/secrets/sidekey-webhook-tls";
const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidekey-webhook";

/// Pods that are created one after the other, as dry runs, until it is ended. Each must get its sidecar.
struct Load {
    stop: Arc<AtomicBool>,
    created: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Load {
    fn start(kubernetes: &Arc<Kubernetes>) -> Self {
        let (stop, created) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count, kubernetes) = (stop.clone(), created.clone(), kubernetes.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let answer = kubernetes.send("POST", &format!("{PODS}?dryRun=All"), &asking("load")).await;
                assert_eq!(
                    (answer.status, answer.containers()),
                    (201, vec!["sidekey", "app"]),
                    "{}",
                    answer.object
                );
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, created, task }
    }

    fn created(&self) -> usize {
        self.created.load(Ordering::Relaxed)
    }

    /// Waits until this number of pods more was created.
    async fn more(&self, count: usize) {
        let target = self.created() + count;
        assert_eventually(TIMEOUT, "pods are created", async || {
            self.created() >= target || self.task.is_finished()
        })
        .await;
    }

    /// Ends it; a pod that was refused fails the test.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("no pod was refused");
        self.created.load(Ordering::Relaxed)
    }
}

/// A member of the Secret with the certificate, as text.
async fn member(kubernetes: &Kubernetes, name: &str) -> Option<String> {
    let secret = kubernetes.get(SECRET).await.object;
    let text = STANDARD.decode(secret["data"][name].as_str()?).unwrap();
    Some(String::from_utf8(text).unwrap())
}

/// The CAs that the API server trusts for the webhook.
async fn trusted(kubernetes: &Kubernetes) -> Vec<String> {
    let configuration = kubernetes.get(CONFIGURATION).await.object;
    let entries = configuration["webhooks"].as_array().unwrap();
    let bundle = |entry: &Value| entry["clientConfig"]["caBundle"].as_str().unwrap().to_owned();
    assert_eq!(bundle(&entries[0]), bundle(&entries[1]));
    let pem = String::from_utf8(STANDARD.decode(bundle(&entries[0])).unwrap()).unwrap();
    pem.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect()
}

/// The certificate that a replica presents.
async fn presented(replica: &Replica) -> String {
    let text = openssl(&format!("s_client -connect {} -showcerts", replica.address())).await;
    let start = text.find("-----BEGIN").expect("a certificate");
    let end = text.find("-----END CERTIFICATE-----\n").unwrap() + "-----END CERTIFICATE-----\n".len();
    text[start..end].to_owned()
}

#[tokio::test]
async fn two_replicas_of_a_new_cluster_present_one_certificate() {
    let kubernetes = cluster().await;
    let (one, two) = tokio::join!(Replica::start(&kubernetes, &[]), Replica::start(&kubernetes, &[]));
    one.ready().await;
    two.ready().await;
    let certificate = member(&kubernetes, "tls.crt").await.unwrap();
    assert_eq!((presented(&one).await, presented(&two).await), (certificate.clone(), certificate));
    assert_eq!(trusted(&kubernetes).await, [member(&kubernetes, "ca.crt").await.unwrap()]);
    assert_eq!(member(&kubernetes, "next.crt").await, None);
    // The key of the CA is nowhere, and that of the certificate in the Secret alone.
    let key = member(&kubernetes, "tls.key").await.unwrap();
    let secret = kubernetes.get(SECRET).await.object;
    assert_eq!(
        secret["data"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["ca.crt", "tls.crt", "tls.key"]
    );
    let line = key.lines().nth(1).unwrap();
    assert!(!one.log().contains(line) && !two.log().contains(line));
}

#[tokio::test]
async fn certificate_is_rotated_without_a_refused_pod() {
    let kubernetes = Arc::new(cluster().await);
    let options = ["--certificate-lifetime", "15s"];
    let _replicas =
        [Replica::start(&kubernetes, &options).await, Replica::start(&kubernetes, &options).await];
    assert_eventually(TIMEOUT, "both are ready", async || kubernetes.ready_replicas() == 2).await;
    let first = member(&kubernetes, "tls.crt").await.unwrap();
    let load = Load::start(&kubernetes);
    assert_eventually(TIMEOUT, "the next certificate is made", async || {
        load.task.is_finished() || member(&kubernetes, "next.crt").await.is_some()
    })
    .await;
    assert_eventually(TIMEOUT, "it is in use", async || {
        load.task.is_finished()
            || member(&kubernetes, "tls.crt").await.is_some_and(|current| current != first)
    })
    .await;
    assert_eq!(trusted(&kubernetes).await.len(), 2, "the CA of the previous one is trusted until that ends");
    // By now the first certificate has expired.
    let second = member(&kubernetes, "tls.crt").await.unwrap();
    assert_eventually(2 * TIMEOUT, "it is replaced as well", async || {
        load.task.is_finished()
            || member(&kubernetes, "tls.crt").await.is_some_and(|current| current != second)
    })
    .await;
    load.more(10).await;
    assert!(trusted(&kubernetes).await.len() <= 3);
    assert!(load.end().await > 20);
}

#[tokio::test]
async fn replicas_are_replaced_without_a_refused_pod() {
    let kubernetes = Arc::new(cluster().await);
    let mut old = [ready_replica(&kubernetes).await, Replica::start(&kubernetes, &[]).await];
    assert_eventually(TIMEOUT, "both are ready", async || kubernetes.ready_replicas() == 2).await;
    let load = Load::start(&kubernetes);
    load.more(20).await;
    let mut new = Vec::new();
    for old in &mut old {
        old.terminate().await;
        assert_eq!(kubernetes.ready_replicas(), 1);
        load.more(20).await;
        new.push(Replica::start(&kubernetes, &[]).await);
        assert_eventually(TIMEOUT, "the new one is ready", async || kubernetes.ready_replicas() == 2).await;
    }
    load.more(20).await;
    assert!(load.end().await >= 80);
    for old in &old {
        assert!(old.log().contains("sidecar injected"), "each answered some");
    }
}
