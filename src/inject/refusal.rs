//! What stands in the way of a sidecar.

use serde_json::Value;

use super::pod::{Pod, name_of};
use super::settings::{ProxyEnv, Settings};
use super::sidecar::{ADMIN_PORT_NAME, CONFIG_VOLUME, CONTAINER, SECRETS_VOLUME};

/// The annotation by which the kubelet marks the object of a static Pod.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Why an object does not get the sidecar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The kind of object has no Pod that is known.
    #[error("its kind has no Pod")]
    NoPod,
    /// The object has no Pod, or one without containers.
    #[error("it has no containers")]
    NoContainers,
    /// The Pod, or its namespace, says so.
    #[error("`sidekey.io/inject` is `disabled`")]
    Disabled,
    /// Only Pods that ask get the sidecar, and this one does not.
    #[error("`sidekey.io/inject` is not `enabled`")]
    NotEnabled,
    /// The Pod has the network of its node, on whose loopback others could use the credentials.
    #[error("it has the network of its node (`hostNetwork`), where others could use the credentials")]
    HostNetwork,
    /// The Pod runs on Windows.
    #[error("it runs on Windows")]
    Windows,
    /// The object stands for a static Pod, whose manifest is a file on its node. The API server refuses such an object if it has a
    /// ConfigMap or a Secret.
    #[error("it is a static Pod, whose manifest is on its node: inject it there")]
    Static,
    /// A container has no name, which Kubernetes demands. By it the variables of `proxy-env` are found again.
    #[error(
        "it has a container without a `name`, so that the variables of `proxy-env` could not be found again"
    )]
    NoName,
    /// A container has the sidecar's name.
    #[error("it has a container `{CONTAINER}`")]
    ContainerExists,
    /// A volume has the name of one of the sidecar's.
    #[error("it has a volume `{0}`")]
    VolumeExists(String),
    /// A container has a port of the sidecar's.
    #[error("its container `{container}` has port {port}, which is Sidekey's; set `sidekey.io/{setting}`")]
    PortTaken {
        /// The container that has the port.
        container: String,
        /// The port that both have.
        port: u16,
        /// The annotation that changes Sidekey's.
        setting: &'static str,
    },
    /// A container has a port of the name that the sidecar's has.
    #[error("its container `{0}` has a port with the name `{ADMIN_PORT_NAME}`")]
    PortNameTaken(String),
}

impl Refusal {
    /// Whether a Pod that asks for the sidecar must not start without it. If not, the Pod or its kind is simply not concerned.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::NoPod | Self::NoContainers | Self::Disabled | Self::NotEnabled)
    }
}

/// What stands in the way of a sidecar with these settings, if anything does.
pub(super) fn of_pod(pod: Pod<'_>, settings: &Settings) -> Option<Refusal> {
    if pod.is_on("hostNetwork") {
        return Some(Refusal::HostNetwork);
    }
    if is_windows(pod) {
        return Some(Refusal::Windows);
    }
    if pod.metadata("annotations").is_some_and(|annotations| annotations.contains_key(MIRROR)) {
        return Some(Refusal::Static);
    }
    if pod.containers().any(|container| name_of(container) == CONTAINER) {
        return Some(Refusal::ContainerExists);
    }
    if settings.proxy_env != ProxyEnv::Off && pod.containers().any(|container| name_of(container).is_empty())
    {
        return Some(Refusal::NoName);
    }
    let is_ours = |volume: &&Value| [CONFIG_VOLUME, SECRETS_VOLUME].contains(&name_of(volume));
    if let Some(volume) = pod.list("volumes").iter().find(is_ours) {
        return Some(Refusal::VolumeExists(name_of(volume).to_owned()));
    }
    pod.containers().find_map(|container| taken_port(container, settings))
}

fn is_windows(pod: Pod<'_>) -> bool {
    let is = |value: Option<&Value>| value.and_then(Value::as_str) == Some("windows");
    is(pod.spec("os").and_then(|os| os.get("name")))
        || ["kubernetes.io/os", "beta.kubernetes.io/os"]
            .into_iter()
            .any(|label| is(pod.spec("nodeSelector").and_then(|selector| selector.get(label))))
}

fn taken_port(container: &Value, settings: &Settings) -> Option<Refusal> {
    let ports = container.get("ports")?.as_array()?;
    ports.iter().find_map(|port| {
        let is_tcp = port.get("protocol").and_then(Value::as_str).is_none_or(|name| name == "TCP");
        let number = port.get("containerPort").and_then(Value::as_u64).filter(|_| is_tcp);
        let container = name_of(container).to_owned();
        let ours = [(settings.port, "port"), (settings.admin_port, "admin-port")];
        match ours.into_iter().find(|(ours, _)| number == Some(u64::from(*ours))) {
            Some((port, setting)) => Some(Refusal::PortTaken { container, port, setting }),
            None => (name_of(port) == ADMIN_PORT_NAME).then_some(Refusal::PortNameTaken(container)),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: &Value) -> Option<Refusal> {
        of_pod(Pod::new(&json!({ "spec": spec })), &Settings::default())
    }

    #[test]
    fn pod_that_cannot_have_the_sidecar_is_refused() {
        let app = json!([{"name": "app"}]);
        for (spec, reason) in [
            (json!({"hostNetwork": true}), Refusal::HostNetwork),
            (json!({"hostNetwork": "yes"}), Refusal::HostNetwork),
            (json!({"os": {"name": "windows"}}), Refusal::Windows),
            (json!({"nodeSelector": {"kubernetes.io/os": "windows"}}), Refusal::Windows),
            (json!({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}), Refusal::Windows),
            (json!({"initContainers": [{"name": "sidekey"}]}), Refusal::ContainerExists),
            (
                json!({"volumes": [{"name": "sidekey-secrets"}]}),
                Refusal::VolumeExists("sidekey-secrets".into()),
            ),
        ] {
            assert_eq!(of(&spec), Some(reason), "{spec}");
        }
        assert_eq!(of(&json!({"containers": app, "hostNetwork": false, "volumes": null})), None);
        assert_eq!(of(&json!({"hostNetwork": "no"})), None);
    }

    #[test]
    fn object_of_a_static_pod_is_refused() {
        let pod = json!({
            "metadata": { "annotations": { "kubernetes.io/config.mirror": "5a" } },
            "spec": { "containers": [{ "name": "app" }] },
        });
        assert_eq!(of_pod(Pod::new(&pod), &Settings::default()), Some(Refusal::Static));
    }

    #[test]
    fn container_without_a_name_is_refused_if_it_gets_variables() {
        let spec = json!({ "spec": { "containers": [{ "name": "app" }, { "image": "b:1" }] } });
        let of = |proxy_env| of_pod(Pod::new(&spec), &Settings { proxy_env, ..Settings::default() });
        assert_eq!(of(ProxyEnv::Off), None);
        assert_eq!(of(ProxyEnv::Http), Some(Refusal::NoName));
    }

    #[test]
    fn pod_with_a_port_of_the_sidecar_is_refused() {
        let port = |port: Value| of(&json!({"containers": [{"name": "app", "ports": [port]}]}));
        for (taken, setting) in [
            (json!({"containerPort": 8080}), "port"),
            (json!({"containerPort": 9090, "protocol": "TCP"}), "admin-port"),
        ] {
            let refusal = port(taken.clone());
            assert!(
                matches!(refusal, Some(Refusal::PortTaken { setting: s, .. }) if s == setting),
                "{taken}"
            );
        }
        assert_eq!(port(json!({"containerPort": 8080, "protocol": "UDP"})), None);
        assert_eq!(port(json!({"containerPort": 80})), None);
        let name = json!({"containerPort": 1, "name": "sidekey-admin"});
        assert_eq!(port(name), Some(Refusal::PortNameTaken("app".into())));
    }
}
