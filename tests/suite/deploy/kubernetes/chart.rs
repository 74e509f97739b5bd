//! deploy/helm/sidekey: it is the same as the kustomizations, and says what is wrong with values.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

use serde_yaml::{Mapping, Value};

use super::objects::{container, find, kind_of, list, parse, pod, title};
use super::rendered::{chart, rendered};
use crate::harness::{helm, tool};

#[test]
fn chart_passes_lint_with_each_set_of_values() {
    let mut sets = 0;
    for entry in fs::read_dir(chart().join("ci")).unwrap() {
        let values = entry.unwrap().path();
        let mut arguments =
            vec!["lint".into(), "--strict".into(), chart(), "--values".into(), values.clone()];
        if values.ends_with("gateway-values.yaml") {
            arguments.extend(["--set".into(), "gateway.config.services.a.upstream=https://a.example".into()]);
        }
        let output = helm(arguments);
        assert!(output.status.success(), "{}: {}", values.display(), said(&output));
        sets += 1;
    }
    assert_eq!(sets, 4);
}

#[test]
fn chart_renders_what_kustomize_renders() {
    for (kustomization, values) in
        [("examples/gateway", "gateway-values.yaml"), ("webhook", "default-values.yaml")]
    {
        let mut kustomized = normalized(kustomization);
        let mut charted = normalized(values);
        // `helm test`; and the namespace of a release is that of `helm install`.
        charted.retain(|title, _| !title.ends_with("-test"));
        kustomized.retain(|title, _| title != "Namespace/sidekey");
        assert_eq!(charted.keys().collect::<Vec<_>>(), kustomized.keys().collect::<Vec<_>>());
        for (title, object) in &kustomized {
            let expected = serde_yaml::to_string(object).unwrap();
            assert_eq!(serde_yaml::to_string(&charted[title]).unwrap(), expected, "{title}");
        }
    }
}

#[test]
fn chart_package_has_alerts_and_dashboard() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        helm(["package".as_ref(), chart().as_os_str(), "--destination".as_ref(), dir.path().as_os_str()]);
    assert!(output.status.success(), "{}", said(&output));
    let package = dir.path().join(format!("sidekey-{}.tgz", env!("CARGO_PKG_VERSION")));
    for (packaged, source) in
        [("files/alerts.yaml", "prometheus/alerts.yaml"), ("files/dashboard.json", "grafana/dashboard.json")]
    {
        let mut tar = Command::new(tool("tar"));
        tar.args(["--extract", "--gzip", "--to-stdout", "--file"])
            .arg(&package)
            .arg(format!("sidekey/{packaged}"));
        let content = tar.output().unwrap().stdout;
        assert!(
            content == fs::read(chart().join("../..").join(source)).unwrap(),
            "{packaged} is not {source}"
        );
    }
}

#[test]
fn chart_has_the_version_of_the_program() {
    let chart: Value =
        serde_yaml::from_str(&fs::read_to_string(chart().join("Chart.yaml")).unwrap()).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
}

/// Values that the chart rejects, and what it says.
const REJECTED: [(&str, &str); 11] = [
    ("webhook: { replicas: many }", "/webhook/replicas"),
    ("webhook: { failurePolicy: Maybe }", "/webhook/failurePolicy"),
    ("webhok: {}", "webhok"),
    ("gateway: { enabled: true, config: { services: { a: {} } } }", "gateway.tls: set one of"),
    (
        "gateway: { enabled: true, config: { services: { a: {} } }, tls: { plaintext: true, secretName: a } }",
        "gateway.tls: set one of",
    ),
    ("gateway: { enabled: true, tls: { plaintext: true } }", "gateway.config.services"),
    (
        "gateway: { enabled: true, config: { services: { a: {} } }, tls: { plaintext: true } }",
        "store.tls: set secretName or issuerRef",
    ),
    (
        "gateway: { enabled: true, config: { services: { a: {} } }, tls: { plaintext: true }, \
         secrets: { secretName: a, secretProviderClass: b } }",
        "gateway.secrets: set one of",
    ),
    (
        "gateway: { enabled: true, config: { services: { a: {} } }, tls: { plaintext: true }, \
         autoscaling: { requestsPerSecond: 0, cpuUtilization: 0 } }",
        "gateway.autoscaling",
    ),
    (
        "gateway: { enabled: true, config: { services: { a: {} } }, tls: { plaintext: true }, \
         httpRoute: { enabled: true } }",
        "gateway.httpRoute: parentRefs and hostnames",
    ),
    (
        "gateway: { enabled: true, config: { services: { a: {} } }, tls: { secretName: a }, \
         httpRoute: { enabled: true, parentRefs: [{ name: a }], hostnames: [a] } }",
        "gateway.httpRoute.caConfigMap",
    ),
];

#[test]
fn chart_rejects_wrong_values_and_says_why() {
    for (values, expected) in REJECTED {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, values).unwrap();
        let output = helm([
            "template".as_ref(),
            "a".as_ref(),
            chart().as_os_str(),
            "-f".as_ref(),
            file.path().as_os_str(),
        ]);
        assert!(!output.status.success(), "{values}");
        assert!(said(&output).contains(expected), "{values}: {}", said(&output));
    }
}

#[test]
fn every_value_is_in_the_schema() {
    let schema: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap();
    let values: Mapping =
        serde_yaml::from_str(&fs::read_to_string(chart().join("values.yaml")).unwrap()).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    for (section, content) in &values {
        let section = section.as_str().unwrap();
        let known = properties[section]["properties"].as_object();
        let Some(known) = known else { continue };
        let mut written: Vec<_> =
            content.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap()).collect();
        written.sort_unstable();
        let mut known: Vec<_> = known.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(written, known, "{section}");
    }
}

#[test]
fn helm_test_reaches_every_part_that_is_installed() {
    for (name, component) in [
        ("gateway-values.yaml", "gateway"),
        ("default-values.yaml", "webhook"),
        ("small-values.yaml", "gateway"),
    ] {
        let objects = &rendered(name).objects;
        let test = format!("sidekey-{component}-test");
        let hooks = |kind| find(objects, kind, &test)["metadata"]["annotations"]["helm.sh/hook"].clone();
        assert_eq!((hooks("Pod"), hooks("Service")), ("test".into(), "test".into()));
        let service = &find(objects, "Service", &test)["spec"];
        let target = &pod(find(objects, "Deployment", &format!("sidekey-{component}"))).unwrap();
        let labels = &target["metadata"]["labels"];
        let selector = service["selector"].as_mapping().unwrap();
        assert!(selector.iter().all(|(label, value)| labels.get(label) == Some(value)), "{name}");
        // The variable that the kubelet makes of the Service's name.
        let arguments = list(&find(objects, "Pod", &test)["spec"]["containers"][0], "args");
        let variable = test.to_uppercase().replace('-', "_");
        assert_eq!(arguments[2], format!("$({variable}_SERVICE_HOST):9090"), "{name}");
    }
}

/// Webhooks are called in the order of the names of their configurations, and those of AKS and EKS are not called again.
#[test]
fn webhook_can_be_called_before_those_of_identities() {
    const NAME: &str = "0-sidekey-webhook";
    assert!(
        ["azure-wi-webhook-mutating-webhook-configuration", "pod-identity-webhook"]
            .iter()
            .all(|other| NAME < *other)
    );
    let output = helm([
        "template".as_ref(),
        "sidekey".as_ref(),
        chart().as_os_str(),
        "--set".as_ref(),
        format!("webhook.configurationName={NAME}").as_ref(),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let objects = parse(&text);
    find(&objects, "MutatingWebhookConfiguration", NAME);
    let role = find(&objects, "ClusterRole", "sidekey-webhook");
    assert_eq!(list(role, "rules")[0]["resourceNames"][0], NAME);
    let spec = &pod(find(&objects, "Deployment", "sidekey-webhook")).unwrap()["spec"];
    let arguments = list(container(spec, "sidekey"), "args");
    assert!(arguments.iter().any(|argument| *argument == format!("--configuration={NAME}")), "{arguments:?}");
}

#[test]
fn webhook_fails_closed_for_those_who_asked_alone() {
    for name in ["default-values.yaml", "operators-values.yaml"] {
        let objects = &rendered(name).objects;
        let configuration = find(objects, "MutatingWebhookConfiguration", "sidekey-webhook");
        let webhooks = list(configuration, "webhooks");
        assert_eq!(webhooks.len(), 2);
        for webhook in webhooks {
            assert_eq!(webhook["failurePolicy"], "Fail");
            let excluded = &list(&webhook["namespaceSelector"], "matchExpressions")[0];
            assert_eq!(excluded["operator"], "NotIn");
            for namespace in ["kube-system", "sidekey"] {
                assert!(
                    list(excluded, "values").iter().any(|value| value == namespace),
                    "{name} {namespace}"
                );
            }
            let asks = |selector: &Value| selector["matchLabels"]["sidekey.io/inject"] == "enabled";
            assert!(
                asks(&webhook["objectSelector"]) || asks(&webhook["namespaceSelector"]),
                "{name}: it holds up Pods that did not ask"
            );
        }
        let deployment = find(objects, "Deployment", "sidekey-webhook");
        assert!(deployment["spec"]["replicas"].as_u64().unwrap() >= 2);
    }
}

#[test]
fn notes_warn_of_what_is_unsafe() {
    let notes = |values: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, values).unwrap();
        // A dry run without a cluster prints the notes.
        let output = helm([
            "install".as_ref(),
            "a".as_ref(),
            chart().as_os_str(),
            "--dry-run=client".as_ref(),
            "-f".as_ref(),
            file.path().as_os_str(),
        ]);
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let safe = notes("{}");
    assert!(safe.contains("helm test a") && !safe.contains("WARNING"), "{safe}");
    assert!(notes("webhook: { failurePolicy: Ignore }").contains("WARNING: with failurePolicy Ignore"));
    let open = "gateway: { enabled: true, tls: { plaintext: true }, config: { services: { a: {} } } }\nstore: { enabled: false }\n";
    let open = notes(open);
    assert!(open.contains("WARNING: no TLS") && open.contains("has no `callers`"), "{open}");
}

#[test]
fn chart_reads_each_value_that_its_schema_has() {
    let templates: String = all_templates();
    let schema: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap();
    for (section, content) in schema["properties"].as_object().unwrap() {
        let Some(keys) = content["properties"].as_object() else { continue };
        for key in keys.keys() {
            let is_read = [format!(".{key}"), format!("Values.{section}.{key}")];
            assert!(
                is_read.iter().any(|read| templates.contains(read.as_str())),
                "{section}.{key} is read by no template"
            );
        }
    }
}

fn all_templates() -> String {
    fn read(folder: &std::path::Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { read(&path, text) } else { text.push_str(&fs::read_to_string(path).unwrap()) }
        }
    }
    let mut text = String::new();
    read(&chart().join("templates"), &mut text);
    text
}

/// The objects of a rendering, without what only one of the two tools adds.
fn normalized(name: &str) -> BTreeMap<String, Value> {
    rendered(name).objects.iter().map(|object| (title(object), normal(object))).collect()
}

fn normal(object: &Value) -> Value {
    let mut object = object.clone();
    if kind_of(&object) == "ConfigMap"
        && let Some(services) = object["data"].get_mut("services.yaml")
    {
        *services = serde_yaml::from_str(services.as_str().unwrap()).unwrap();
    }
    object["metadata"].as_mapping_mut().unwrap().remove("namespace");
    without_labels_of_helm(&mut object);
    object
}

/// Removes labels that Helm's conventions add, the peer of `helm test`, and the order of keys.
fn without_labels_of_helm(node: &mut Value) {
    match node {
        Value::Sequence(items) => {
            items.retain(|item| {
                let labels = item.get("podSelector").and_then(|it| it.get("matchLabels"));
                labels.and_then(|it| it.get("app.kubernetes.io/component")) != Some(&Value::from("test"))
            });
            items.iter_mut().for_each(without_labels_of_helm);
        }
        Value::Mapping(mapping) => {
            for key in ["instance", "version", "managed-by"] {
                mapping.remove(format!("app.kubernetes.io/{key}"));
            }
            mapping.remove("helm.sh/chart");
            let mut entries: Vec<_> = std::mem::take(mapping).into_iter().collect();
            entries.sort_by(|one, other| one.0.as_str().cmp(&other.0.as_str()));
            for (_, value) in &mut entries {
                without_labels_of_helm(value);
            }
            *mapping = entries.into_iter().collect();
        }
        _ => {}
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
