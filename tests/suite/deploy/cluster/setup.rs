//! A cluster, its clients, and what is stored in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Kubernetes, assert_eventually, helm_with, kubectl};

/// The controllers that make Pods and claims, and those that remove what belongs to a removed object.
const CONTROLLERS: [&str; 5] = ["deployment", "replicaset", "statefulset", "garbagecollector", "namespace"];
/// Kinds that change without anybody's wish.
const VOLATILE: [&str; 2] = ["events", "events.events.k8s.io"];
/// How long the collector takes to see that an owner is gone: it looks for new kinds every 30 seconds.
const REMOVAL: Duration = Duration::from_secs(90);

pub struct Cluster {
    pub kubernetes: Kubernetes,
}

impl Cluster {
    /// A cluster with the kinds of other projects, and the namespaces `sidekey` and `shop`.
    pub async fn start() -> Self {
        let mut kubernetes = Kubernetes::start().await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/crds");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
                define(&kubernetes, &schema).await;
            }
        }
        for namespace in ["sidekey", "shop"] {
            kubernetes.create_namespace(namespace, &[]).await;
        }
        kubernetes.start_controllers(&CONTROLLERS);
        Self { kubernetes }
    }

    /// Runs helm in the namespace `sidekey`. It must succeed.
    pub fn helm(&self, arguments: &[&str]) -> String {
        let output = self.try_helm(arguments);
        assert!(output.status.success(), "helm {arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn try_helm(&self, arguments: &[&str]) -> Output {
        helm_with(&self.kubernetes.kubeconfig(), [arguments, &["--namespace", "sidekey"]].concat())
    }

    /// Runs kubectl. It must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = kubectl(&self.kubernetes.kubeconfig(), arguments);
        assert!(output.status.success(), "kubectl {arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The object of a kind in the namespace `sidekey`.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        let text = self.kubectl(&["get", kind, name, "--namespace", "sidekey", "--output", "json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// Every object that is stored: kind, namespace, name.
    pub fn objects(&self) -> BTreeSet<String> {
        let kinds = self.kubectl(&["api-resources", "--verbs", "list", "--output", "name"]);
        let kinds: Vec<_> = kinds.lines().filter(|kind| !VOLATILE.contains(kind)).collect();
        let columns = "custom-columns=:kind,:metadata.namespace,:metadata.name";
        let text = self.kubectl(&[
            "get",
            &kinds.join(","),
            "--all-namespaces",
            "--ignore-not-found",
            "--no-headers",
            "--output",
            columns,
        ]);
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// Waits until exactly these objects are stored.
    pub async fn holds(&self, expected: &BTreeSet<String>) {
        let mut found = BTreeSet::new();
        let deadline = tokio::time::Instant::now() + REMOVAL;
        while found != *expected && tokio::time::Instant::now() < deadline {
            found = self.objects();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let left: Vec<_> = found.difference(expected).collect();
        let missing: Vec<_> = expected.difference(&found).collect();
        assert!(left.is_empty() && missing.is_empty(), "left: {left:#?}, missing: {missing:#?}");
    }

    /// Waits until this many Pods of a component were made of the template in its workload.
    pub async fn pods(&self, component: &str, count: usize) {
        let selector = format!("app.kubernetes.io/component={component}");
        assert_eventually(REMOVAL, &format!("{count} Pods of {component}"), async || {
            let names = self.kubectl(&[
                "get",
                "pods",
                "--namespace",
                "sidekey",
                "--selector",
                &selector,
                "--output",
                "name",
            ]);
            names.lines().count() == count
        })
        .await;
    }
}

/// Defines a kind of another project. What its objects may have is tested elsewhere.
async fn define(kubernetes: &Kubernetes, schema: &Value) {
    let (group, version) = schema["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let kind = schema["kind"].as_str().unwrap();
    let singular = kind.to_lowercase();
    let plural = match singular.strip_suffix('y') {
        Some(start) => format!("{start}ies"),
        None if singular.ends_with('s') => format!("{singular}es"),
        None => format!("{singular}s"),
    };
    let open =
        json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    let object = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" },
        },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "kind": kind, "singular": singular, "plural": plural },
            "versions": [{ "name": version, "served": true, "storage": true, "schema": open }],
        },
    });
    kubernetes.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &object).await;
    let path = format!("/apis/{group}/{version}/{plural}");
    assert_eventually(REMOVAL, kind, async || kubernetes.get(&path).await.status == 200).await;
}

/// That every field of a manifest is stored as it was written. `path` is for messages.
pub fn assert_stored(manifest: &Value, stored: &Value, path: &str) {
    match manifest {
        // What is empty is not stored.
        Value::Null => {}
        Value::Object(members) => {
            for (key, value) in members {
                assert_stored(value, &stored[key], &format!("{path}.{key}"));
            }
        }
        Value::Array(items) => {
            let found = stored.as_array().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(items.len(), found.len(), "{path}: {stored}");
            for (index, (item, found)) in items.iter().zip(found).enumerate() {
                assert_stored(item, found, &format!("{path}[{index}]"));
            }
        }
        _ => assert_eq!(manifest, stored, "{path}"),
    }
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
