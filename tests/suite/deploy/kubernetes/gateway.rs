//! deploy/kubernetes/gateway: its parts fit together.

use std::fs;

use serde_yaml::Value;

use super::objects::{at, container, find, list, pod};
use super::rendered::{Rendered, deploy, rendered};
use super::sidecar::rendered_services;
use crate::harness::{MockTokenEndpoint, MockUpstream};
use crate::suite::deploy::grafana::observed;

#[test]
fn every_file_of_the_gateway_is_mounted() {
    for name in ["gateway", "gateway-values.yaml"] {
        let rendered = rendered(name);
        let spec = &pod(find(&rendered.objects, "Deployment", "sidekey-gateway")).unwrap()["spec"];
        let mounts: Vec<_> = list(container(spec, "sidekey"), "volumeMounts")
            .iter()
            .map(|mount| format!("{}/", mount["mountPath"].as_str().unwrap()))
            .chain(["/var/run/secrets/kubernetes.io/serviceaccount/".to_owned()])
            .collect();
        let services =
            find(&rendered.objects, "ConfigMap", "sidekey-gateway")["data"]["services.yaml"].as_str();
        let words = services.unwrap().split_whitespace();
        let files: Vec<_> =
            words.filter(|word| word.starts_with("/run/") || word.starts_with("/var/")).collect();
        assert!(files.len() >= 8, "{files:?}");
        for file in files {
            assert!(mounts.iter().any(|mount| file.starts_with(mount)), "{name}: {file} is in no volume");
        }
    }
}

#[test]
fn gateway_does_not_serve_callers_without_a_token() {
    let services = rendered_services("gateway", "sidekey-gateway");
    let listener = &services["listen"][0];
    assert!(listener.get("tls").is_some(), "tokens and answers pass this listener");
    assert!(listener.get("callers").is_none(), "`required` is the default if there are callers");
    for (name, caller) in services["callers"].as_mapping().unwrap() {
        assert!(at(caller, "jwt.claims.sub").is_some(), "{name:?} is one service account");
        assert_eq!(caller["jwt"]["audience"], "sidekey", "not the audience of the API server");
    }
    let roles = services["roles"].as_mapping().unwrap().values();
    let named: Vec<_> = roles.flat_map(|role| list(role, "services")).collect();
    for service in services["services"].as_mapping().unwrap().keys() {
        assert!(named.contains(&service), "no role has {service:?}");
    }
}

#[test]
fn network_policy_names_ports_and_labels_that_exist() {
    for name in ["gateway", "gateway-values.yaml"] {
        let rendered = rendered(name);
        let policy = &find(&rendered.objects, "NetworkPolicy", "sidekey-gateway")["spec"];
        let gateway = pod(find(&rendered.objects, "Deployment", "sidekey-gateway")).unwrap();
        let store = pod(find(&rendered.objects, "StatefulSet", "sidekey-store")).unwrap();
        assert!(selects(&policy["podSelector"], gateway), "{name}");
        let ports = list(container(&gateway["spec"], "sidekey"), "ports");
        for rule in list(policy, "ingress") {
            assert!(!list(rule, "from").is_empty(), "{name}: a rule without `from` admits everybody");
            let port = &list(rule, "ports")[0]["port"];
            assert!(ports.iter().any(|declared| &declared["name"] == port), "{name}: {port:?}");
        }
        let to_store = |rule: &&Value| {
            list(rule, "to").iter().any(|peer| peer.get("podSelector").is_some_and(|it| selects(it, store)))
        };
        assert!(list(policy, "egress").iter().any(|rule| to_store(&rule)), "{name}: the store");
        let to_all = list(policy, "egress").iter().flat_map(|rule| list(rule, "to"));
        for block in to_all.filter_map(|peer| peer.get("ipBlock")) {
            assert!(!list(block, "except").is_empty(), "{name}: the metadata service of the node: {block:?}");
        }
        let of_store = &find(&rendered.objects, "NetworkPolicy", "sidekey-store")["spec"];
        assert!(selects(&of_store["podSelector"], store));
        let callers = list(&of_store["ingress"][0], "from");
        let is_admitted = |pod: &Value| callers.iter().any(|peer| selects(&peer["podSelector"], pod));
        assert!(is_admitted(gateway));
        // `helm test` runs `check --online`, which connects to the store.
        if let Some(test) =
            rendered.objects.iter().find(|object| object["metadata"]["name"] == "sidekey-gateway-test")
        {
            assert!(is_admitted(test), "{name}: helm test");
        }
    }
}

#[test]
fn selectors_of_the_gateway_select_its_pods() {
    for (name, component) in [
        ("gateway", "gateway"),
        ("gateway-values.yaml", "gateway"),
        ("webhook", "webhook"),
        ("default-values.yaml", "webhook"),
    ] {
        let Rendered { objects, .. } = rendered(name);
        let object = |kind| find(objects, kind, &format!("sidekey-{component}"));
        let deployment = object("Deployment");
        let template = pod(deployment).unwrap();
        assert!(selects(&deployment["spec"]["selector"], template));
        assert!(selects(&object("PodDisruptionBudget")["spec"]["selector"], template));
        for constraint in list(&template["spec"], "topologySpreadConstraints") {
            assert!(selects(&constraint["labelSelector"], template));
        }
        let service = object("Service")["spec"]["selector"].as_mapping().unwrap();
        let labels = &template["metadata"]["labels"];
        assert!(service.iter().all(|(label, value)| labels.get(label) == Some(value)));
        let target = &object("Service")["spec"]["ports"][0]["targetPort"];
        let ports = list(container(&template["spec"], "sidekey"), "ports");
        assert!(ports.iter().any(|port| &port["name"] == target), "{target:?}");
        if component == "gateway" {
            let scaled = &object("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"];
            assert_eq!(scaled, "sidekey-gateway");
            assert!(deployment["spec"].get("replicas").is_none(), "the autoscaler decides");
        }
    }
}

#[test]
fn grace_period_of_the_gateway_is_longer_than_its_drain() {
    for name in ["gateway", "gateway-values.yaml"] {
        let spec = &pod(find(&rendered(name).objects, "Deployment", "sidekey-gateway")).unwrap()["spec"];
        let sidekey = container(spec, "sidekey");
        // The handler `sleep` of a hook is behind a feature gate that 1.29 has off.
        assert!(sidekey.get("lifecycle").is_none(), "{name}");
        let is_wait = |variable: &&Value| variable["name"] == "SIDEKEY_WAIT_BEFORE_EXIT";
        let wait = list(sidekey, "env").iter().find(is_wait).unwrap()["value"].as_str().unwrap();
        let wait: u64 = wait.strip_suffix('s').unwrap().parse().unwrap();
        let drain =
            rendered_services(name, "sidekey-gateway")["shutdown"]["drain"].as_str().unwrap().to_owned();
        let drain: u64 = drain.strip_suffix('s').unwrap().parse().unwrap();
        assert!(spec["terminationGracePeriodSeconds"].as_u64().unwrap() >= wait + drain + 10, "{name}");
    }
}

#[tokio::test]
async fn adapter_rule_yields_the_metric_of_the_autoscaler() {
    let rules: Vec<Value> =
        serde_yaml::from_str(&fs::read_to_string(deploy().join("prometheus/adapter.yaml")).unwrap()).unwrap();
    let scaler = find(&rendered("gateway").objects, "HorizontalPodAutoscaler", "sidekey-gateway");
    assert_eq!(scaler["spec"]["metrics"][0]["pods"]["metric"]["name"], rules[0]["name"]["as"]);

    // What prometheus-adapter makes of its template, with a label that a Prometheus outside of a cluster has.
    let series = rules[0]["seriesQuery"].as_str().unwrap().split('{').next().unwrap();
    let query = rules[0]["metricsQuery"].as_str().unwrap();
    let query = query.replace("<<.Series>>", series).replace("<<.LabelMatchers>>", "job=\"sidekey\"");
    let query = query.replace("<<.GroupBy>>", "instance").replace("[2m]", "[10s]");
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let (sidekey, prometheus) = observed(&upstream, &login).await;
    let mut requests = 0;
    crate::harness::assert_eventually(std::time::Duration::from_secs(30), &query, async || {
        sidekey.get("/crm/a").await;
        requests += 1;
        !prometheus.query(&format!("{query} > 0")).await.is_empty()
    })
    .await;
    assert!(requests > 1);
}

/// Whether a selector (`matchLabels`) selects a Pod.
fn selects(selector: &Value, pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    let wanted = selector["matchLabels"].as_mapping().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(label, value)| labels.get(label) == Some(value))
}
