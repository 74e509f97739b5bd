//! deploy/kubernetes/webhook as it is read, without a cluster.

use std::path::Path;

use serde_yaml::Value;

use super::setup::manifest;
use crate::harness::kubernetes_validate;

/// The oldest version that has every field of the manifests, and later ones.
const KUBERNETES: [&str; 5] = ["1.27", "1.29", "1.32", "1.34", "1.37"];
/// A version before [`NEW_FIELDS`].
const OLDER: &str = "1.25";
/// What docs/WEBHOOK.md says to leave out for older versions.
const NEW_FIELDS: [&str; 2] =
    ["matchLabelKeys: [pod-template-hash]", "unhealthyPodEvictionPolicy: AlwaysAllow"];
const MANIFESTS: [&str; 4] = ["configuration.yaml", "networkpolicy.yaml", "rbac.yaml", "webhook.yaml"];

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

#[test]
fn webhook_manifests_are_valid_for_each_kubernetes_version() {
    let count: usize = MANIFESTS.iter().map(|name| documents(name).len()).sum();
    let text = MANIFESTS.map(manifest).join("\n---\n");
    let older: String = text
        .lines()
        .filter(|line| !NEW_FIELDS.contains(&line.trim()))
        .fold(String::new(), |all, line| all + line + "\n");
    for (version, text) in KUBERNETES.map(|version| (version, &text)).into_iter().chain([(OLDER, &older)]) {
        let output = kubernetes_validate(version, text);
        let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "Kubernetes {version}: {said}");
        assert_eq!(said.matches(" passed for resource ").count(), count, "Kubernetes {version}: {said}");
    }
    assert!(!kubernetes_validate(OLDER, &text).status.success(), "the fields are known to {OLDER}");
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/WEBHOOK.md")).unwrap();
    for field in NEW_FIELDS {
        assert!(page.contains(&format!("`{}`", field.split(':').next().unwrap())), "{field}");
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
    let asks = |entry: &Value, selector: &str| {
        assert_eq!(entry[selector]["matchLabels"]["sidekey.io/inject"], "enabled", "{:?}", entry["name"]);
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
    asks(&entries[0], "objectSelector");
    asks(&entries[1], "namespaceSelector");
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
    let budget = &only("webhook.yaml", "PodDisruptionBudget")["spec"];
    assert_eq!(budget["maxUnavailable"], Value::from(1));
    assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    let pod = &deployment["spec"]["template"]["spec"];
    let spread = pod["topologySpreadConstraints"].as_sequence().unwrap();
    let keys: Vec<_> = spread.iter().map(|constraint| constraint["topologyKey"].as_str().unwrap()).collect();
    assert_eq!(keys, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], Value::from(true));
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    let context = &container["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"], Value::from(true));
    assert_eq!(context["allowPrivilegeEscalation"], Value::from(false));
    assert_eq!(context["capabilities"]["drop"][0], "ALL");
    let image = format!("sidekey:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(container["image"], *image);
    assert_eq!(container["args"][1], *format!("--image={image}"), "the image of the sidecars");
    let (period, failures) =
        (&container["readinessProbe"]["periodSeconds"], &container["readinessProbe"]["failureThreshold"]);
    assert!(period.as_u64().unwrap() * failures.as_u64().unwrap() < 5, "less than --shutdown-delay");
}

#[test]
fn webhook_policy_admits_the_api_server_and_prometheus_alone() {
    let policy = &only("networkpolicy.yaml", "NetworkPolicy")["spec"];
    let pod = &only("webhook.yaml", "Deployment")["spec"]["template"];
    for (label, value) in policy["podSelector"]["matchLabels"].as_mapping().unwrap() {
        assert_eq!(&pod["metadata"]["labels"][label], value);
    }
    let ports = pod["spec"]["containers"][0]["ports"].as_sequence().unwrap();
    let rules = policy["ingress"].as_sequence().unwrap();
    let named: Vec<_> = rules.iter().map(|rule| rule["ports"][0]["port"].as_str().unwrap()).collect();
    let declared: Vec<_> = ports.iter().map(|port| port["name"].as_str().unwrap()).collect();
    assert_eq!(named, declared);
    assert!(rules[0].get("from").is_none(), "the address of the API server is not known");
    assert!(rules[1]["from"][0].get("namespaceSelector").is_some(), "metrics are not for everybody");
    for peer in policy["egress"][0]["to"].as_sequence().unwrap() {
        assert!(
            peer["ipBlock"]["except"].as_sequence().is_some(),
            "the metadata service of the node: {peer:?}"
        );
    }
}
