//! The chart by Helm.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::kubelet::Kubelet;
use super::older::older_chart;
use super::setup::{Cluster, assert_stored, said};
use crate::harness::{TIMEOUT, assert_eventually};
use crate::suite::deploy::kubernetes::rendered::chart;
use crate::suite::deploy::webhook::setup::{Replica, asking, create};

/// Values of a set of the chart: webhook and gateway with everything that a large cluster has.
const OPERATORS: &str = "ci/operators-values.yaml";
/// A number that is stored as it is written. That of the default, 2000, is stored as `2k`.
const RATE: &str = "gateway.autoscaling.requestsPerSecond=2500";
/// What an upgrade changes.
const CHANGED: [&str; 6] = [
    "--set",
    "webhook.replicas=3",
    "--set",
    "gateway.config.services.crm.upstream=https://crm.example.org",
    "--set",
    "gateway.podAnnotations.changed=yes",
];

/// The objects that a release is rendered to, without those of `helm test`.
fn manifests(cluster: &Cluster, arguments: &[&str]) -> Vec<Value> {
    let text = cluster.helm(&[&["template", "sidekey", "--no-hooks"], arguments].concat());
    let documents = serde_yaml::Deserializer::from_str(&text);
    let objects = documents.map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap());
    objects.filter(|object| !object.is_null()).collect()
}

/// That the cluster has each of these objects as it was written, and returns them as [`Cluster::objects`] does.
fn assert_installed(cluster: &Cluster, manifests: &[Value]) -> BTreeSet<String> {
    let mut titles = BTreeSet::new();
    for manifest in manifests {
        let kind = manifest["kind"].as_str().unwrap();
        let name = manifest["metadata"]["name"].as_str().unwrap();
        // In the version of the manifest, whichever the API server prefers.
        let stored = match manifest["apiVersion"].as_str().unwrap().split_once('/') {
            Some((group, version)) => cluster.get(&format!("{kind}.{version}.{group}"), name),
            None => cluster.get(kind, name),
        };
        assert_stored(manifest, &stored, &format!("{kind}/{name}"));
        let namespace = stored["metadata"]["namespace"].as_str().unwrap_or("<none>");
        titles.insert(format!("{kind} {namespace} {name}"));
    }
    titles
}

#[tokio::test]
async fn chart_is_refused_by_a_cluster_without_native_sidecars() {
    let cluster = Cluster::start().await;
    let before = cluster.objects();
    let output = cluster.try_helm(&["install", "sidekey", chart().to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(said(&output).contains("chart requires kubeVersion: >=1.29.0-0"), "{}", said(&output));
    assert_eq!(cluster.objects(), before);
}

#[tokio::test]
async fn chart_is_installed_upgraded_rolled_back_and_uninstalled() {
    let (cluster, dir) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let chart = older_chart(dir.path());
    let (chart, values) = (chart.to_str().unwrap(), chart.join(OPERATORS));
    let release = [chart, "--values", values.to_str().unwrap(), "--set", RATE];
    let before = cluster.objects();

    let dry_run = cluster.helm(&[&["install", "sidekey", "--dry-run=server"], &release[..]].concat());
    assert!(dry_run.contains("kind: MutatingWebhookConfiguration"), "{dry_run}");
    assert_eq!(cluster.objects(), before, "a dry run stores nothing");

    cluster.helm(&[&["install", "sidekey"], &release[..]].concat());
    let first = manifests(&cluster, &release);
    let titles = assert_installed(&cluster, &first);
    assert!(titles.len() > 20, "{titles:#?}");
    for (component, count) in [("webhook", 2), ("gateway", 1), ("store", 1)] {
        cluster.pods(component, count).await;
    }

    // What the HorizontalPodAutoscaler decided is not undone.
    cluster.kubectl(&["scale", "deployment/sidekey-gateway", "--replicas", "5", "--namespace", "sidekey"]);
    cluster.helm(&[&["upgrade", "sidekey"], &release[..], &CHANGED].concat());
    let second = manifests(&cluster, &[&release[..], &CHANGED].concat());
    assert_eq!(assert_installed(&cluster, &second), titles);
    let gateway = cluster.get("deployment", "sidekey-gateway");
    assert_eq!(gateway["spec"]["replicas"], 5);
    assert_eq!(gateway["spec"]["template"]["metadata"]["annotations"]["changed"], "yes");
    assert_eq!(cluster.get("deployment", "sidekey-webhook")["spec"]["replicas"], 3);

    cluster.helm(&["rollback", "sidekey", "1"]);
    assert_eq!(assert_installed(&cluster, &first), titles);
    let gateway = cluster.get("deployment", "sidekey-gateway");
    assert_eq!(gateway["spec"]["replicas"], 5);
    assert_eq!(gateway["spec"]["template"]["metadata"]["annotations"].get("changed"), None);
    let history: Value =
        serde_json::from_str(&cluster.helm(&["history", "sidekey", "--output", "json"])).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 3);

    cluster.helm(&["uninstall", "sidekey"]);
    // The store's volume may have a refresh token that exists nowhere else.
    let mut left = before;
    left.insert("PersistentVolumeClaim sidekey data-sidekey-store-0".to_owned());
    cluster.holds(&left).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chart_test_passes_while_a_replica_is_ready() {
    let (cluster, dir) = (Arc::new(Cluster::start().await), tempfile::tempdir().unwrap());
    let chart = older_chart(dir.path());
    // In threads of their own: helm waits for what the kubelet says.
    let helm = async |arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let cluster = cluster.clone();
        let run = move || cluster.try_helm(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    let install = ["install", "sidekey", chart.to_str().unwrap(), "--wait"];
    let output = helm(&[&install[..], &["--timeout", "3s"]].concat()).await;
    assert!(!output.status.success(), "no Pod is ready: {}", said(&output));
    cluster.helm(&["uninstall", "sidekey"]);

    // What its Pods would be: a replica with the rights that the chart gives it.
    let kubelet = Kubelet::start(&cluster, "127.0.0.1:1");
    let output = helm(&[&install[..], &["--timeout", "90s"]].concat()).await;
    assert!(output.status.success(), "{}", said(&output));
    let test = ["test", "sidekey", "--timeout", "60s"];
    let output = helm(&test).await;
    assert!(!output.status.success(), "nothing listens: {}", said(&output));
    drop(kubelet);

    let webhook = Replica::start(&cluster.kubernetes, &[]).await;
    webhook.ready().await;
    let admin = webhook.admin_url("");
    let _kubelet = Kubelet::start(&cluster, admin.trim_start_matches("http://"));
    let output = helm(&test).await;
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test]
async fn chart_replaces_no_pod_for_a_changed_configuration() {
    let (cluster, dir) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let chart = older_chart(dir.path());
    let values = chart.join("ci/small-values.yaml");
    let release = [chart.to_str().unwrap(), "--values", values.to_str().unwrap()];
    cluster.helm(&[&["install", "sidekey"], &release[..]].concat());
    let template = || cluster.get("deployment", "sidekey-gateway")["spec"]["template"].clone();
    let (before, changed) = (template(), "gateway.config.services.crm.upstream=https://crm.example.org");
    cluster.helm(&[&["upgrade", "sidekey"], &release[..], &["--set", changed]].concat());
    assert_eq!(template(), before);
    let map = cluster.get("configmap", "sidekey-gateway");
    assert!(map["data"]["services.yaml"].as_str().unwrap().contains("https://crm.example.org"), "{map}");
}

#[tokio::test]
async fn chart_keeps_the_certificate_of_the_webhook_at_an_upgrade() {
    certificate_is_kept("--server-side=true").await;
}

/// As Helm 3 does it.
#[tokio::test]
async fn chart_keeps_the_certificate_of_the_webhook_at_an_upgrade_by_the_client() {
    certificate_is_kept("--server-side=false").await;
}

async fn certificate_is_kept(way: &str) {
    let (cluster, dir) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let chart = older_chart(dir.path());
    let (chart, kubernetes) = (chart.to_str().unwrap(), &cluster.kubernetes);
    cluster.helm(&["install", "sidekey", chart, way]);
    // A replica with the rights that the chart gives it.
    let webhook = Replica::start(kubernetes, &[]).await;
    webhook.ready().await;
    assert_eventually(TIMEOUT, "the service has the replica", async || kubernetes.ready_replicas() == 1)
        .await;
    let injects = async |name: &str| {
        let answer = create(kubernetes, &asking(name)).await;
        assert_eq!((answer.status, answer.containers()), (201, vec!["sidekey", "app"]), "{}", answer.object);
    };
    let certificate = || {
        let configuration = cluster.get("mutatingwebhookconfiguration", "sidekey-webhook");
        let bundles = configuration["webhooks"].as_array().unwrap().iter();
        let bundles: Vec<_> = bundles.map(|entry| entry["clientConfig"]["caBundle"].clone()).collect();
        assert!(bundles.iter().all(Value::is_string), "{configuration}");
        json!([cluster.get("secret", "sidekey-webhook-tls")["data"], bundles])
    };
    injects("first").await;
    let before = certificate();

    let changed = "webhook.replicas=3,webhook.timeoutSeconds=7";
    cluster.helm(&["upgrade", "sidekey", chart, way, "--set", changed]);
    let configuration = cluster.get("mutatingwebhookconfiguration", "sidekey-webhook");
    assert_eq!(configuration["webhooks"][1]["timeoutSeconds"], 7);
    assert_eq!(certificate(), before);
    injects("upgraded").await;
    cluster.helm(&["rollback", "sidekey", "1", way]);
    assert_eq!(certificate(), before);
    injects("rolled-back").await;

    // Without the webhook, a Pod that asks starts without a sidecar: nothing is left that refuses it.
    cluster.helm(&["uninstall", "sidekey"]);
    assert_eventually(TIMEOUT, "the API server calls no webhook", async || {
        let answer =
            kubernetes.send("POST", "/api/v1/namespaces/shop/pods?dryRun=All", &asking("last")).await;
        answer.status == 201 && answer.containers() == ["app"]
    })
    .await;
}
