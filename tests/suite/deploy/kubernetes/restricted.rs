//! Pod Security `restricted`, for every container of every manifest, and no uid that OpenShift would reject.
//!
//! The list is that of <https://kubernetes.io/docs/concepts/security/pod-security-standards/>: Baseline, then Restricted.

use serde_yaml::Value;

use super::objects::{at, containers, list, pod, title};
use super::rendered::{all, rendered};

/// Volumes of the profile.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The one Pod with a number in it: its image has root as its user. The manifest and the chart's values say what to do in OpenShift.
const FIXED_UID: &str = "StatefulSet/sidekey-store";

#[test]
fn every_container_is_restricted() {
    let mut pods = 0;
    for rendered in all() {
        for object in &rendered.objects {
            let Some(pod) = pod(object) else { continue };
            assert_eq!(violations(&pod["spec"]), Vec::<String>::new(), "{} {}", rendered.name, title(object));
            assert_eq!(unbounded(&pod["spec"]), Vec::<String>::new(), "{} {}", rendered.name, title(object));
            pods += 1;
        }
    }
    assert!(pods > 20, "{pods} Pods");
}

#[test]
fn no_uid_is_fixed() {
    for rendered in all() {
        for object in &rendered.objects {
            let Some(pod) = pod(object) else { continue };
            let is_fixed = !fixed_ids(&pod["spec"]).is_empty();
            let may_be = title(object) == FIXED_UID && !rendered.name.contains("small");
            assert!(
                !is_fixed || may_be,
                "{} {}: {:?}",
                rendered.name,
                title(object),
                fixed_ids(&pod["spec"])
            );
        }
    }
}

#[test]
fn restricted_profile_check_detects_each_violation() {
    let pod =
        pod(super::objects::find(&rendered("examples/deployment").objects, "Deployment", "orders")).unwrap();
    let changes: [(&str, &str); 19] = [
        ("hostNetwork", "true"),
        ("hostPID", "true"),
        ("hostIPC", "true"),
        ("volumes.0", "{ name: a, hostPath: { path: / } }"),
        ("volumes.0", "{ name: a, nfs: { server: a, path: / } }"),
        ("securityContext.sysctls", "[{ name: kernel.msgmax, value: '1' }]"),
        ("securityContext.seccompProfile.type", "Unconfined"),
        ("securityContext.runAsUser", "0"),
        ("containers.0.securityContext.privileged", "true"),
        ("containers.0.securityContext.runAsNonRoot", "false"),
        ("containers.0.securityContext.runAsUser", "0"),
        ("containers.0.securityContext.allowPrivilegeEscalation", "true"),
        ("containers.0.securityContext.capabilities", "{ drop: [CHOWN] }"),
        ("containers.0.securityContext.capabilities.add", "[SYS_ADMIN]"),
        ("containers.0.securityContext.procMount", "Unmasked"),
        ("containers.0.ports.0.hostPort", "80"),
        ("initContainers.0.livenessProbe.httpGet.host", "example.com"),
        ("initContainers.0.securityContext.allowPrivilegeEscalation", "null"),
        ("initContainers.0.securityContext.seccompProfile", "{ type: Unconfined }"),
    ];
    for (path, value) in changes {
        let mut spec = pod["spec"].clone();
        set(&mut spec, path, serde_yaml::from_str(value).unwrap());
        assert_eq!(violations(&spec).len(), 1, "{path}: {value}: {:?}", violations(&spec));
    }
    let mut spec = pod["spec"].clone();
    spec.as_mapping_mut().unwrap().remove("securityContext");
    assert_eq!(violations(&spec).len(), 2, "the app relies on the Pod for both: {:?}", violations(&spec));
}

fn set(node: &mut Value, path: &str, value: Value) {
    let mut node = node;
    for key in path.split('.') {
        node = match key.parse::<usize>() {
            Ok(index) => &mut node[index],
            Err(_) => &mut node[key],
        };
    }
    *node = value;
}

/// What the profile forbids and the `spec` of a Pod has.
fn violations(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec.get(key).is_some_and(|value| value != &Value::from(false)) {
            found.push(key.to_owned());
        }
    }
    for volume in list(spec, "volumes") {
        let is_allowed = volume
            .as_mapping()
            .unwrap()
            .keys()
            .all(|key| key == "name" || VOLUMES.iter().any(|allowed| key == allowed));
        if !is_allowed {
            found.push(format!("volume {volume:?}"));
        }
    }
    let context = spec.get("securityContext");
    if at(spec, "securityContext.sysctls").is_some() {
        found.push("sysctls".to_owned());
    }
    if at(spec, "securityContext.runAsUser") == Some(&Value::from(0)) {
        found.push("runAsUser of the Pod".to_owned());
    }
    let has_seccomp = |context: Option<&Value>| {
        let kind = context.and_then(|context| at(context, "seccompProfile.type"));
        kind.map(|kind| kind == "RuntimeDefault" || kind == "Localhost")
    };
    if has_seccomp(context) == Some(false) {
        found.push("seccompProfile of the Pod".to_owned());
    }
    for container in containers(spec) {
        let own = container.get("securityContext");
        let name = container["name"].as_str().unwrap();
        let mut require = |what: &str, holds: bool| {
            if !holds {
                found.push(format!("{name}: {what}"));
            }
        };
        let field = |path: &str| own.and_then(|own| at(own, path));
        let is_non_root = |context: Option<&Value>| context.and_then(|it| it.get("runAsNonRoot")).cloned();
        require(
            "seccompProfile",
            has_seccomp(own).or_else(|| has_seccomp(context).map(|_| true)) == Some(true),
        );
        require("runAsNonRoot", is_non_root(own).or_else(|| is_non_root(context)) == Some(true.into()));
        require("runAsUser", field("runAsUser") != Some(&Value::from(0)));
        require("privileged", field("privileged").is_none_or(|value| value == &Value::from(false)));
        require("allowPrivilegeEscalation", field("allowPrivilegeEscalation") == Some(&Value::from(false)));
        require("procMount", field("procMount").is_none_or(|value| value == "Default"));
        let dropped = own.and_then(|own| own.get("capabilities")).map_or(&[][..], |it| list(it, "drop"));
        require("capabilities.drop", dropped.iter().any(|capability| capability == "ALL"));
        let added = own.and_then(|own| own.get("capabilities")).map_or(&[][..], |it| list(it, "add"));
        require("capabilities.add", added.iter().all(|capability| capability == "NET_BIND_SERVICE"));
        require("hostPort", list(container, "ports").iter().all(|port| port.get("hostPort").is_none()));
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            require(probe, at(container, &format!("{probe}.httpGet.host")).is_none());
        }
    }
    found
}

/// What the profile allows, and these manifests have in no container.
fn unbounded(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for container in containers(spec) {
        let name = &container["name"];
        if at(container, "securityContext.readOnlyRootFilesystem") != Some(&Value::from(true)) {
            found.push(format!("{name:?}: its file system can be written to"));
        }
        for path in ["resources.requests.cpu", "resources.requests.memory", "resources.limits.memory"] {
            if at(container, path).is_none() {
                found.push(format!("{name:?}: {path}"));
            }
        }
    }
    found
}

/// Numbers of users and groups, which OpenShift rejects unless they are in the range of the namespace.
fn fixed_ids(spec: &Value) -> Vec<&Value> {
    let contexts = containers(spec).chain([spec]).filter_map(|holder| holder.get("securityContext"));
    let keys = ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"];
    contexts.flat_map(|context| keys.iter().filter_map(move |key| context.get(key))).collect()
}
