//! The kustomizations by `kubectl apply --kustomize`.

use serde_json::Value;

use super::older::older_kustomization;
use super::setup::Cluster;
use crate::harness::{TIMEOUT, assert_eventually};
use crate::suite::deploy::webhook::setup::{Replica, asking, create};

/// The objects of a kustomization as they are stored, without their state.
///
/// What `kubectl apply` prints is no measure: it says "configured" of an object whose lists got defaults.
fn stored(cluster: &Cluster, folder: &str) -> Vec<Value> {
    let text = cluster.kubectl(&["get", "--kustomize", folder, "--output", "json"]);
    let mut list: Value = serde_json::from_str(&text).unwrap();
    let items = list["items"].as_array_mut().unwrap();
    for item in items.iter_mut() {
        item.as_object_mut().unwrap().remove("status");
        item["metadata"].as_object_mut().unwrap().retain(|key, _| key != "resourceVersion");
    }
    std::mem::take(items)
}

/// Applies a kustomization that is applied already. Returns its objects, which stay as they are.
fn assert_applied_again_changes_nothing(cluster: &Cluster, folder: &str) -> Vec<Value> {
    let first = stored(cluster, folder);
    cluster.kubectl(&["apply", "--kustomize", folder]);
    for (before, after) in first.iter().zip(stored(cluster, folder)) {
        assert_eq!(*before, after);
    }
    first
}

#[tokio::test]
async fn gateway_is_applied_and_deleted() {
    let (cluster, dir) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let folder = older_kustomization(dir.path(), "gateway");
    let folder = folder.to_str().unwrap();
    let before = cluster.objects();

    let dry_run = cluster.kubectl(&["apply", "--dry-run=server", "--kustomize", folder]);
    assert!(
        dry_run.lines().count() > 8
            && dry_run.lines().all(|line| line.ends_with(" created (server dry run)")),
        "{dry_run}"
    );
    assert_eq!(cluster.objects(), before, "a dry run stores nothing");

    cluster.kubectl(&["apply", "--kustomize", folder]);
    cluster.pods("gateway", 1).await;
    cluster.pods("store", 1).await;
    // What the HorizontalPodAutoscaler decided is not undone, and a second run changes nothing.
    cluster.kubectl(&["scale", "deployment/sidekey-gateway", "--replicas", "5", "--namespace", "sidekey"]);
    let first = assert_applied_again_changes_nothing(&cluster, folder);
    assert!(first.len() >= 10, "{first:#?}");
    assert_eq!(cluster.get("deployment", "sidekey-gateway")["spec"]["replicas"], 5);

    cluster.kubectl(&["delete", "--kustomize", folder]);
    let mut left = before;
    left.insert("PersistentVolumeClaim sidekey data-sidekey-store-0".to_owned());
    cluster.holds(&left).await;
}

#[tokio::test]
async fn webhook_is_applied_again_without_losing_its_certificate_and_deleted() {
    let (cluster, dir) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let folder = older_kustomization(dir.path(), "webhook");
    let (folder, kubernetes) = (folder.to_str().unwrap(), &cluster.kubernetes);
    let before = cluster.objects();

    cluster.kubectl(&["apply", "--kustomize", folder]);
    cluster.pods("webhook", 2).await;
    let webhook = Replica::start(kubernetes, &[]).await;
    webhook.ready().await;
    assert_eventually(TIMEOUT, "the service has the replica", async || kubernetes.ready_replicas() == 1)
        .await;
    let injects = async |name: &str| {
        let answer = create(kubernetes, &asking(name)).await;
        assert_eq!((answer.status, answer.containers()), (201, vec!["sidekey", "app"]), "{}", answer.object);
    };
    injects("first").await;
    let secret = cluster.get("secret", "sidekey-webhook-tls");
    assert!(secret["data"]["tls.crt"].is_string(), "{secret}");

    let first = assert_applied_again_changes_nothing(&cluster, folder);
    assert!(first.iter().any(|object| object["data"] == secret["data"]), "{first:#?}");
    injects("second").await;

    cluster.kubectl(&["delete", "--kustomize", folder]);
    let mut left = before;
    // The namespace is one of the objects.
    left.remove("Namespace <none> sidekey");
    for name in ["first", "second"] {
        left.insert(format!("Pod shop {name}"));
    }
    cluster.holds(&left).await;
}
