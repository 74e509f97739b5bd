//! The container and the volumes that are added to a Pod. `deploy/kubernetes/components/sidecar/workload.yaml` explains each field.

use serde_json::{Value, json};

use super::settings::Settings;

/// The name of the sidecar's container.
pub const CONTAINER: &str = "sidekey";

/// The volume with the configuration.
pub(super) const CONFIG_VOLUME: &str = "sidekey-config";

/// The volume with the secrets.
pub(super) const SECRETS_VOLUME: &str = "sidekey-secrets";

/// The name of the admin listener's port.
pub(super) const ADMIN_PORT_NAME: &str = "sidekey-admin";

/// Where the configuration is, for the sidecar.
const CONFIG_FOLDER: &str = "/etc/sidekey";

/// Where the secrets are, for the sidecar. Each key of a Secret is a file.
pub(super) const SECRETS_FOLDER: &str = "/run/secrets/sidekey";

/// The program in the image.
const PROGRAM: &str = "/sidekey";

/// How long the app's start is held back for the sidecar, in seconds.
const START_LIMIT: u32 = 60;

/// The sidecar's container. That of a Job that runs to an end accepts `POST /quit` if Kubernetes does not end it.
pub(super) fn container(settings: &Settings, is_job: bool) -> Value {
    let mut container = json!({
        "name": CONTAINER,
        "image": settings.image.to_string(),
        "imagePullPolicy": settings.image_pull_policy.to_string(),
        "ports": [{"name": ADMIN_PORT_NAME, "containerPort": settings.admin_port}],
        "startupProbe": probe("/livez", &[("periodSeconds", 1), ("failureThreshold", START_LIMIT)]),
        "livenessProbe":
            probe("/livez", &[("periodSeconds", 10), ("timeoutSeconds", 2), ("failureThreshold", 3)]),
        "readinessProbe":
            probe("/readyz", &[("periodSeconds", 5), ("timeoutSeconds", 2), ("failureThreshold", 2)]),
        "resources": resources(settings),
        "securityContext": security_context(settings),
        "volumeMounts": mounts(settings),
    });
    let mut env = Vec::new();
    if let Some(level) = &settings.log_level {
        env.push(json!({"name": "RUST_LOG", "value": level}));
    }
    if settings.is_native() {
        container["restartPolicy"] = "Always".into();
    } else {
        // The kubelet starts the next container when the hook has returned.
        let admin = format!("127.0.0.1:{}", settings.admin_port);
        let limit = format!("{START_LIMIT}s");
        container["lifecycle"] = json!({"postStart": {"exec": {
            "command": [PROGRAM, "probe", "--admin", admin, "--wait", limit, "/livez"],
        }}});
        if let Some(wait) = settings.wait_before_exit {
            let wait = format!("{}ms", wait.as_millis());
            env.push(json!({"name": "SIDEKEY_WAIT_BEFORE_EXIT", "value": wait}));
        }
        if is_job {
            env.push(json!({"name": "SIDEKEY_ALLOW_QUIT", "value": "true"}));
        }
    }
    if !env.is_empty() {
        container["env"] = env.into();
    }
    container
}

fn probe(path: &str, times: &[(&str, u32)]) -> Value {
    let mut probe = json!({"httpGet": {"path": path, "port": ADMIN_PORT_NAME}});
    for (name, value) in times {
        probe[*name] = (*value).into();
    }
    probe
}

fn resources(settings: &Settings) -> Value {
    let mut resources = json!({"requests": {
        "cpu": settings.cpu_request.to_string(),
        "memory": settings.memory_request.to_string(),
    }});
    for (name, limit) in [("cpu", &settings.cpu_limit), ("memory", &settings.memory_limit)] {
        if let Some(limit) = limit {
            resources["limits"][name] = limit.to_string().into();
        }
    }
    resources
}

/// What Pod Security `restricted` requires, of the container alone: the Pod may say something else.
fn security_context(settings: &Settings) -> Value {
    let mut context = json!({
        "runAsNonRoot": true,
        "readOnlyRootFilesystem": true,
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    if let Some(user) = settings.run_as_user {
        context["runAsUser"] = user.into();
        context["runAsGroup"] = user.into();
    }
    context
}

fn mounts(settings: &Settings) -> Value {
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path, "readOnly": true});
    let mut mounts = vec![mount(CONFIG_VOLUME, CONFIG_FOLDER)];
    if !settings.secrets.is_empty() {
        mounts.push(mount(SECRETS_VOLUME, SECRETS_FOLDER));
    }
    mounts.into()
}

/// The volumes that the sidecar mounts. No app does, so that the mode of the files protects nothing.
pub(super) fn volumes(settings: &Settings) -> Vec<Value> {
    let mut volumes =
        vec![json!({"name": CONFIG_VOLUME, "configMap": {"name": settings.config.to_string()}})];
    match settings.secrets.as_slice() {
        [] => {}
        [secret] => {
            volumes.push(json!({"name": SECRETS_VOLUME, "secret": {"secretName": secret.to_string()}}));
        }
        secrets => {
            let sources: Vec<_> =
                secrets.iter().map(|secret| json!({"secret": {"name": secret.to_string()}})).collect();
            volumes.push(json!({"name": SECRETS_VOLUME, "projected": {"sources": sources}}));
        }
    }
    volumes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::inject::NativeSidecar;

    #[test]
    fn classic_sidecar_holds_the_app_back_and_can_be_ended() {
        let settings = Settings {
            native_sidecar: NativeSidecar::Never,
            wait_before_exit: Some(Duration::from_secs(5)),
            admin_port: 9191,
            ..Settings::default()
        };
        let classic = container(&settings, true);
        assert_eq!(classic.get("restartPolicy"), None);
        assert_eq!(
            classic["lifecycle"]["postStart"]["exec"]["command"],
            json!(["/sidekey", "probe", "--admin", "127.0.0.1:9191", "--wait", "60s", "/livez"])
        );
        assert_eq!(
            classic["env"],
            json!([
                {"name": "SIDEKEY_WAIT_BEFORE_EXIT", "value": "5000ms"},
                {"name": "SIDEKEY_ALLOW_QUIT", "value": "true"},
            ])
        );
        assert_eq!(
            container(&settings, false)["env"].as_array().unwrap().len(),
            1,
            "only a Job ends by itself"
        );
    }

    #[test]
    fn user_is_left_to_the_cluster_if_it_is_not_set() {
        let settings = Settings { run_as_user: None, ..Settings::default() };
        let context = &container(&settings, false)["securityContext"];
        assert_eq!((context.get("runAsUser"), context.get("runAsGroup")), (None, None));
        assert_eq!(context["runAsNonRoot"], true);
    }

    #[test]
    fn secrets_are_files_of_one_folder() {
        let with = |names: &[&str]| Settings {
            secrets: names.iter().map(|name| name.parse().unwrap()).collect(),
            ..Settings::default()
        };
        assert_eq!(volumes(&with(&[])).len(), 1);
        assert_eq!(mounts(&with(&[])).as_array().unwrap().len(), 1);
        assert_eq!(volumes(&with(&["a"]))[1]["secret"]["secretName"], "a");
        assert_eq!(
            volumes(&with(&["a", "b"]))[1]["projected"]["sources"],
            json!([{"secret": {"name": "a"}}, {"secret": {"name": "b"}}])
        );
    }
}
