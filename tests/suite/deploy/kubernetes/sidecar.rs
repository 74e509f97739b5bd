//! deploy/kubernetes/components and examples: the app and its sidecar.

use serde_yaml::Value;

use super::objects::{at, container, containers, find, kind_of, list, name_of, pod};
use super::rendered::{Rendered, all, rendered};

const SECRETS_FOLDER: &str = "/run/secrets/sidekey";

#[test]
fn sidecar_is_first_and_stays() {
    for (name, kind) in [("deployment", "Deployment"), ("job", "Job"), ("cronjob", "CronJob")] {
        let spec = &workload(rendered(&format!("examples/{name}")), kind)["spec"];
        let first = &list(spec, "initContainers")[0];
        assert_eq!(first["name"], "sidekey", "{name}");
        assert_eq!(first["restartPolicy"], "Always", "{name}: a native sidecar");
    }
    for (name, kind) in [("deployment-classic", "Deployment"), ("job-classic", "Job")] {
        let spec = &workload(rendered(&format!("examples/{name}")), kind)["spec"];
        assert!(spec.get("initContainers").is_none(), "{name}");
        let first = &list(spec, "containers")[0];
        assert_eq!(first["name"], "sidekey", "{name}: the next container starts when postStart has returned");
        assert!(at(first, "lifecycle.postStart.exec.command").is_some(), "{name}");
        assert!(first.get("restartPolicy").is_none(), "{name}");
    }
}

#[test]
fn sidecar_is_the_same_in_every_kind_of_workload() {
    let sidecar = |name: &str, kind: &str| {
        container(&workload(rendered(&format!("examples/{name}")), kind)["spec"], "sidekey").clone()
    };
    let native = sidecar("deployment", "Deployment");
    assert_eq!(sidecar("job", "Job"), native);
    assert_eq!(sidecar("cronjob", "CronJob"), native);

    // The classic shape differs where it must, and nowhere else.
    for (name, kind, variable) in [
        ("deployment-classic", "Deployment", "SIDEKEY_WAIT_BEFORE_EXIT"),
        ("job-classic", "Job", "SIDEKEY_ALLOW_QUIT"),
    ] {
        let mut classic = sidecar(name, kind);
        let classic = classic.as_mapping_mut().unwrap();
        classic.remove("lifecycle").unwrap();
        let env = classic.remove("env").unwrap();
        assert_eq!(env[0]["name"], variable);
        assert_eq!(env.as_sequence().unwrap().len(), 1);
        classic.insert("restartPolicy".into(), "Always".into());
        assert_eq!(Value::from(classic.clone()), native, "{name}");
    }
}

#[test]
fn secrets_are_mounted_in_the_sidecar_only() {
    let mut sidecars = 0;
    for rendered in all().into_iter().filter(|rendered| rendered.name.starts_with("examples/")) {
        for object in &rendered.objects {
            let Some(pod) = pod(object) else { continue };
            let spec = &pod["spec"];
            if !containers(spec).any(|container| container["name"] == "sidekey") {
                continue;
            }
            for other in containers(spec).filter(|container| container["name"] != "sidekey") {
                let mounts = list(other, "volumeMounts");
                assert!(mounts.is_empty(), "{}: the app needs none of Sidekey's files", rendered.name);
            }
            let mounts = list(container(spec, "sidekey"), "volumeMounts");
            assert!(mounts.iter().any(|mount| mount["mountPath"] == SECRETS_FOLDER), "{}", rendered.name);
            for mount in mounts {
                assert_eq!(mount["readOnly"], Value::from(true), "{mount:?}");
                assert!(mount.get("subPath").is_none(), "a subPath is never updated: {mount:?}");
                let volume = list(spec, "volumes").iter().find(|volume| volume["name"] == mount["name"]);
                assert!(volume.is_some(), "{}: no volume of {mount:?}", rendered.name);
            }
            assert_ne!(spec.get("shareProcessNamespace"), Some(&Value::from(true)), "{}", rendered.name);
            sidecars += 1;
        }
    }
    assert!(sidecars >= 10, "{sidecars} Pods with a sidecar");
}

#[test]
fn probes_reach_the_admin_listener() {
    let admin = rendered_services("examples/deployment", "sidekey")["admin"].clone();
    let (host, port) = admin.as_str().unwrap().rsplit_once(':').unwrap();
    assert_eq!(host, "0.0.0.0", "the kubelet comes from outside the Pod");
    for (name, kind) in [("examples/deployment", "Deployment"), ("gateway", "Deployment")] {
        let sidekey = container(&workload(rendered(name), kind)["spec"], "sidekey");
        let ports = list(sidekey, "ports");
        let declared = ports
            .iter()
            .find(|port| port["name"] == "sidekey-admin")
            .expect("the name that Prometheus knows");
        assert_eq!(declared["containerPort"], Value::from(port.parse::<u16>().unwrap()));
        for (probe, path) in
            [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
        {
            assert_eq!(sidekey[probe]["httpGet"]["path"], path, "{name} {probe}");
            assert_eq!(sidekey[probe]["httpGet"]["port"], "sidekey-admin", "{name} {probe}");
        }
    }
}

#[test]
fn app_calls_existing_services_on_loopback() {
    for name in ["deployment", "deployment-classic", "job", "job-classic", "cronjob", "aws", "azure", "gcp"] {
        let rendered = rendered(&format!("examples/{name}"));
        let services = rendered_services(&rendered.name, "sidekey");
        let base = format!("http://{}/", services["listen"].as_str().unwrap());
        assert!(
            base.starts_with("http://127.0.0.1:"),
            "{name}: no other Pod may use the credentials: {base}"
        );
        let pod = rendered.objects.iter().find_map(pod).unwrap();
        let apps = containers(&pod["spec"]).filter(|container| container["name"] != "sidekey");
        for variable in apps.flat_map(|app| list(app, "env")) {
            let service =
                variable["value"].as_str().unwrap().strip_prefix(&base).expect("an address of Sidekey's");
            assert!(services["services"].get(service).is_some(), "{name}: no service {service}");
        }
    }
}

#[test]
fn grace_period_has_room_for_the_app_and_the_drain() {
    let grace =
        &workload(rendered("examples/deployment"), "Deployment")["spec"]["terminationGracePeriodSeconds"];
    let services = rendered_services("examples/deployment", "sidekey");
    let drain =
        services["shutdown"]["drain"].as_str().unwrap().strip_suffix('s').unwrap().parse::<u64>().unwrap();
    assert!(
        grace.as_u64().unwrap() >= drain + 30,
        "{grace:?} s for the Pod, {drain} s for Sidekey, 30 s for the app"
    );
}

#[test]
fn images_have_this_version() {
    for rendered in all() {
        let specs = rendered.objects.iter().filter_map(pod).map(|pod| &pod["spec"]);
        for image in specs.flat_map(containers).map(|container| container["image"].as_str().unwrap()) {
            let Some((_, version)) = image.split_once("sidekey:") else { continue };
            assert_eq!(version, env!("CARGO_PKG_VERSION"), "{} {image}", rendered.name);
        }
    }
}

#[test]
fn placeholder_secret_is_replaced_by_what_brings_the_real_one() {
    let has_secret = |name: &str| rendered(name).objects.iter().any(|object| kind_of(object) == "Secret");
    assert!(has_secret("examples/deployment"));
    assert!(!has_secret("examples/external-secrets"));
    assert!(!has_secret("examples/secrets-store-csi"));

    let placeholders = find(&rendered("examples/deployment").objects, "Secret", "sidekey");
    let mut expected: Vec<_> = placeholders["stringData"].as_mapping().unwrap().keys().cloned().collect();
    expected.sort_by_key(|key| key.as_str().map(str::to_owned));
    let written = find(&rendered("examples/external-secrets").objects, "ExternalSecret", "sidekey");
    assert_eq!(written["spec"]["target"]["name"], "sidekey");
    let keys: Vec<_> = list(&written["spec"], "data").iter().map(|item| item["secretKey"].clone()).collect();
    assert_eq!(keys, expected);
    let class = find(&rendered("examples/secrets-store-csi").objects, "SecretProviderClass", "sidekey");
    let objects: Vec<Value> =
        serde_yaml::from_str(class["spec"]["parameters"]["objects"].as_str().unwrap()).unwrap();
    assert_eq!(objects.iter().map(|object| object["objectName"].clone()).collect::<Vec<_>>(), expected);
    let volumes = workload(rendered("examples/secrets-store-csi"), "Deployment");
    let volume =
        list(&volumes["spec"], "volumes").iter().find(|volume| volume["name"] == "sidekey-secrets").unwrap();
    assert_eq!(volume["csi"]["volumeAttributes"]["secretProviderClass"], "sidekey");
    assert!(volume.get("secret").is_none(), "{volume:?}");
}

#[test]
fn identity_of_the_workload_is_kept_from_the_app() {
    for (name, annotation, separator) in [
        ("aws", "eks.amazonaws.com/skip-containers", ","),
        ("azure", "azure.workload.identity/skip-containers", ";"),
    ] {
        let pod = workload(rendered(&format!("examples/{name}")), "Deployment");
        let apps: Vec<_> = list(&pod["spec"], "containers").iter().map(name_in_pod).collect();
        assert_eq!(pod["metadata"]["annotations"][annotation], apps.join(separator), "{name}");
    }
    // Where a token is mounted, it is mounted in the sidecar: `secrets_are_mounted_in_the_sidecar_only`.
    let pod = workload(rendered("examples/gcp"), "Deployment");
    let mounts = list(container(&pod["spec"], "sidekey"), "volumeMounts");
    assert!(mounts.iter().any(|mount| mount["name"] == "google"));
    for name in ["aws", "azure"] {
        let objects = &rendered(&format!("examples/{name}")).objects;
        let account = objects.iter().find(|object| kind_of(object) == "ServiceAccount").unwrap();
        assert!(!account["metadata"]["annotations"].as_mapping().unwrap().is_empty(), "{name}");
        let used =
            &workload(rendered(&format!("examples/{name}")), "Deployment")["spec"]["serviceAccountName"];
        assert_eq!(used, name_of(account));
    }
}

fn name_in_pod(container: &Value) -> String {
    container["name"].as_str().unwrap().to_owned()
}

/// The template of the Pods of the only workload of a kind that is not the store.
fn workload<'o>(rendered: &'o Rendered, kind: &str) -> &'o Value {
    rendered.objects.iter().find(|object| kind_of(object) == kind).and_then(pod).expect(kind)
}

/// The configuration in a ConfigMap.
pub fn rendered_services(name: &str, config_map: &str) -> Value {
    let map = find(&rendered(name).objects, "ConfigMap", config_map);
    serde_yaml::from_str(map["data"]["services.yaml"].as_str().unwrap()).unwrap()
}
