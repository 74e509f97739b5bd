//! deploy/kubernetes/webhook as it is read, without a cluster.

use std::path::Path;
use std::process::Command;

use serde_yaml::Value;

use super::setup::manifest;
use crate::harness::run;

/// Versions since the webhook's label of namespaces exists, and later ones.
const KUBERNETES: [&str; 5] = ["1.25", "1.29", "1.32", "1.34", "1.37"];
const MANIFESTS: [&str; 3] = ["configuration.yaml", "rbac.yaml", "webhook.yaml"];

fn documents(name: &str) -> Vec<Value> {
    let text = manifest(name);
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap()).collect()
}

fn only(name: &str, kind: &str) -> Value {
    let mut found = documents(name).into_iter().filter(|document| document["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind} in {name}"));
    assert!(found.next().is_none());
    first
}

#[tokio::test]
async fn webhook_manifests_are_valid_for_each_kubernetes_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let count: usize = MANIFESTS.iter().map(|name| documents(name).len()).sum();
    for version in KUBERNETES {
        let mut command = Command::new(root.join("tests/.venv-kubernetes/bin/kubernetes-validate"));
        command.args(["--strict", "-k", version]);
        command.args(MANIFESTS.map(|name| root.join("deploy/kubernetes/webhook").join(name)));
        let output = run(command, b"").await;
        let text = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "Kubernetes {version}: {text}");
        assert_eq!(text.matches(" passed for resource ").count(), count, "Kubernetes {version}: {text}");
    }
}

#[test]
fn webhook_fails_closed_for_those_who_ask_alone() {
    let configuration = only("configuration.yaml", "MutatingWebhookConfiguration");
    let entries = configuration["webhooks"].as_sequence().unwrap();
    assert_eq!(entries.len(), 2);
    let has = |entry: &Value, selector: &str, expected: &str| {
        let expected: Value = serde_yaml::from_str(expected).unwrap();
        let all = entry[selector]["matchExpressions"].as_sequence().unwrap();
        assert!(all.contains(&expected), "{selector} of {:?}", entry["name"]);
    };
    for entry in entries {
        assert!(entry["name"].as_str().unwrap().ends_with(".inject.sidekey.io"), "an error names Sidekey");
        assert_eq!(entry["failurePolicy"], "Fail");
        assert_eq!(entry["sideEffects"], "None");
        assert_eq!(entry["reinvocationPolicy"], "IfNeeded");
        let timeout = entry["timeoutSeconds"].as_u64().unwrap();
        assert!((5..=10).contains(&timeout));
        has(
            entry,
            "namespaceSelector",
            "{ key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, sidekey] }",
        );
        let rules: Value =
            serde_yaml::from_str("[{ operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods], scope: Namespaced }]").unwrap();
        assert_eq!(entry["rules"], rules);
    }
    has(&entries[0], "objectSelector", "{ key: sidekey.io/inject, operator: In, values: [enabled] }");
    has(&entries[1], "namespaceSelector", "{ key: sidekey.io/inject, operator: In, values: [enabled] }");
    has(
        &entries[1],
        "objectSelector",
        "{ key: sidekey.io/inject, operator: NotIn, values: [enabled, disabled] }",
    );
}

#[test]
fn webhook_may_write_its_own_two_objects_alone() {
    for kind in ["Role", "ClusterRole"] {
        let rules = only("rbac.yaml", kind)["rules"].clone();
        let rules = rules.as_sequence().unwrap();
        assert_eq!(rules.len(), 1);
        let names = rules[0]["resourceNames"].as_sequence().unwrap();
        assert_eq!(names.len(), 1, "{kind}");
        let verbs: Vec<_> =
            rules[0]["verbs"].as_sequence().unwrap().iter().map(|verb| verb.as_str().unwrap()).collect();
        assert_eq!(verbs, if kind == "Role" { ["get", "update"] } else { ["get", "patch"] });
    }
    assert!(only("rbac.yaml", "Secret").get("data").is_none(), "apply leaves the certificate alone");
}

#[test]
fn webhook_deployment_survives_the_loss_of_a_node() {
    let deployment = only("webhook.yaml", "Deployment");
    assert_eq!(deployment["spec"]["replicas"], Value::from(2));
    assert_eq!(only("webhook.yaml", "PodDisruptionBudget")["spec"]["minAvailable"], Value::from(1));
    let pod = &deployment["spec"]["template"]["spec"];
    assert!(pod["topologySpreadConstraints"].as_sequence().is_some());
    let container = &pod["containers"][0];
    let context = &container["securityContext"];
    assert_eq!(context["runAsNonRoot"], Value::from(true));
    assert_eq!(context["readOnlyRootFilesystem"], Value::from(true));
    assert_eq!(context["allowPrivilegeEscalation"], Value::from(false));
    assert_eq!(context["capabilities"]["drop"][0], "ALL");
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    let image = format!("sidekey:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(container["image"], *image);
    assert_eq!(container["args"][1], *format!("--image={image}"), "the image of the sidecars");
    let (period, failures) =
        (&container["readinessProbe"]["periodSeconds"], &container["readinessProbe"]["failureThreshold"]);
    assert!(period.as_u64().unwrap() * failures.as_u64().unwrap() < 5, "less than --shutdown-delay");
}
