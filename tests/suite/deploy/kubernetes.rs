//! deploy/kubernetes: the manifests keep what the example promises, and its configuration loads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_yaml::Value;

use crate::harness::{SecretMount, UpdateStyle};

/// The oldest version with native sidecars enabled by default, and later ones.
const KUBERNETES: [&str; 3] = ["1.29", "1.32", "1.37"];
const MANIFESTS: [&str; 3] = ["configmap.yaml", "secret.yaml", "sidecar.yaml"];
const SECRETS_MOUNT: &str = "/run/secrets/sidekey";

#[test]
fn manifests_are_valid_for_each_kubernetes_version() {
    let validate = root().join("tests/.venv-kubernetes/bin/kubernetes-validate");
    for version in KUBERNETES {
        let output = run(Command::new(&validate)
            .args(["--strict", "-k", version])
            .args(MANIFESTS.map(|file| folder().join(file))));
        assert!(output.status.success(), "Kubernetes {version}: {}", text(&output));
        // A kind or version without a schema is only a warning to the tool.
        let passed = text(&output).matches(" passed for resource ").count();
        assert_eq!(passed, MANIFESTS.len(), "Kubernetes {version}: {}", text(&output));
    }
}

#[test]
fn kustomization_lists_every_manifest() {
    let mut listed = strings(at(&manifest("kustomization.yaml"), "resources"));
    listed.sort();
    assert_eq!(listed, MANIFESTS);
    let mut there: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "kustomization.yaml")
        .collect();
    there.sort();
    assert_eq!(there, MANIFESTS);
}

#[test]
fn manifest_configuration_passes_check() {
    let dir = tempfile::tempdir().unwrap();
    let secret = manifest("secret.yaml");
    let files = at(&secret, "stringData").as_mapping().unwrap().iter();
    let files: Vec<_> =
        files.map(|(name, value)| (name.as_str().unwrap(), value.as_str().unwrap())).collect();
    // With the modes that the volume has: files that all users of the Pod can read.
    let volume = SecretMount::new(UpdateStyle::Symlink, &files);
    let config = dir.path().join("services.yaml");
    let mounted = services_text();
    assert!(mounted.contains(SECRETS_MOUNT));
    fs::write(&config, mounted.replace(SECRETS_MOUNT, volume.path())).unwrap();

    let output = run(Command::new(env!("CARGO_BIN_EXE_sidekey")).arg("check").arg("--config").arg(&config));
    assert!(output.status.success(), "{}", text(&output));
    assert!(!text(&output).contains("warning"), "the example has no warnings: {}", text(&output));
}

#[test]
fn manifest_containers_are_hardened() {
    let deployment = manifest("sidecar.yaml");
    for container in [sidekey(&deployment), app(&deployment)] {
        assert_eq!(unhardened(container), Vec::<&str>::new(), "{:?}", at(container, "name"));
    }
    assert_eq!(
        at(sidekey(&deployment), "securityContext.runAsUser"),
        &Value::from(65532),
        "the image's own user"
    );
    assert_ne!(
        at(app(&deployment), "securityContext.runAsUser"),
        at(sidekey(&deployment), "securityContext.runAsUser")
    );
}

#[test]
fn hardening_check_detects_each_missing_field() {
    let deployment = manifest("sidecar.yaml");
    for (path, _) in HARDENING {
        let mut container = sidekey(&deployment).clone();
        let (parent, field) = path.rsplit_once('.').unwrap();
        let parent = parent.split('.').fold(&mut container, |node, key| &mut node[key]);
        parent.as_mapping_mut().unwrap().remove(field).unwrap();
        assert_eq!(unhardened(&container), [path]);
    }
}

#[test]
fn manifest_mounts_secrets_in_the_sidecar_only() {
    let deployment = manifest("sidecar.yaml");
    assert_eq!(at(sidekey(&deployment), "restartPolicy"), &Value::from("Always"), "a native sidecar");

    let pod = at(&deployment, "spec.template.spec");
    let volume = at(pod, "volumes")
        .as_sequence()
        .unwrap()
        .iter()
        .find(|volume| volume.get("secret").is_some())
        .expect("a volume from the Secret");
    assert_eq!(at(volume, "secret.secretName"), at(&manifest("secret.yaml"), "metadata.name"));
    assert!(
        source("sidecar.yaml").contains("defaultMode: 0440"),
        "readable for the group, writable for nobody"
    );
    assert_eq!(at(pod, "securityContext.fsGroup"), at(sidekey(&deployment), "securityContext.runAsGroup"));

    let mounts = at(sidekey(&deployment), "volumeMounts").as_sequence().unwrap();
    let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).expect("a mount of the Secret");
    assert_eq!(mount["mountPath"], SECRETS_MOUNT);
    for mount in mounts {
        assert_eq!(mount["readOnly"], Value::from(true), "{mount:?}");
        assert!(mount.get("subPath").is_none(), "a subPath is never updated: {mount:?}");
    }
    assert!(app(&deployment).get("volumeMounts").is_none(), "the app needs none of Sidekey's files");
    assert_eq!(at(pod, "shareProcessNamespace"), &Value::from(false));
    assert_eq!(at(pod, "automountServiceAccountToken"), &Value::from(false));
}

#[test]
fn manifest_probes_and_scrapes_reach_admin_listener() {
    let (deployment, services) = (manifest("sidecar.yaml"), services());
    let (host, port) = services["admin"].as_str().unwrap().rsplit_once(':').unwrap();
    assert_eq!(host, "0.0.0.0", "the kubelet comes from outside the Pod");

    let sidekey = sidekey(&deployment);
    let declared = &at(sidekey, "ports").as_sequence().unwrap()[0];
    assert_eq!(declared["containerPort"], Value::from(port.parse::<u16>().unwrap()));
    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(at(sidekey, &format!("{probe}.httpGet.path")), &Value::from(path), "{probe}");
        assert_eq!(at(sidekey, &format!("{probe}.httpGet.port")), &declared["name"], "{probe}");
    }
    let annotations = at(&deployment, "spec.template.metadata.annotations");
    assert_eq!(annotations["prometheus.io/scrape"], "true");
    assert_eq!(annotations["prometheus.io/port"], *port);
    assert_eq!(annotations["prometheus.io/path"], "/metrics");
}

#[test]
fn manifest_app_calls_existing_services_on_loopback() {
    let (deployment, services) = (manifest("sidecar.yaml"), services());
    let base = format!("http://{}/", services["listen"].as_str().unwrap());
    assert!(base.starts_with("http://127.0.0.1:"), "no other Pod may use the credentials: {base}");
    let variables = at(app(&deployment), "env").as_sequence().unwrap();
    assert!(!variables.is_empty());
    for variable in variables {
        let service =
            variable["value"].as_str().unwrap().strip_prefix(&base).expect("an address of Sidekey's");
        assert!(services["services"].get(service).is_some(), "no service {service}");
    }
}

#[test]
fn manifest_grace_period_exceeds_drain_timeout() {
    let (deployment, services) = (manifest("sidecar.yaml"), services());
    let grace = at(&deployment, "spec.template.spec.terminationGracePeriodSeconds").as_u64().unwrap();
    let drain = at(&services, "shutdown.drain").as_str().unwrap().strip_suffix('s').unwrap();
    // The app shuts down first, within the same grace period.
    assert!(grace >= 3 * drain.parse::<u64>().unwrap(), "{grace} s for the Pod, {drain} s for Sidekey");
}

#[test]
fn manifest_image_has_this_version() {
    let expected = format!("sidekey:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(at(sidekey(&manifest("sidecar.yaml")), "image"), &Value::from(expected));
}

/// Fields that each container must set, whatever its namespace enforces.
const HARDENING: [(&str, &str); 6] = [
    ("securityContext.runAsNonRoot", "true"),
    ("securityContext.readOnlyRootFilesystem", "true"),
    ("securityContext.allowPrivilegeEscalation", "false"),
    ("securityContext.capabilities.drop", "[ALL]"),
    ("securityContext.seccompProfile.type", "RuntimeDefault"),
    ("resources.limits.memory", ""),
];

/// Hardening fields that are missing or have another value.
fn unhardened(container: &Value) -> Vec<&'static str> {
    let holds = |(path, expected): &(&str, &str)| match find(container, path) {
        Some(value) => expected.is_empty() || *value == serde_yaml::from_str::<Value>(expected).unwrap(),
        None => false,
    };
    HARDENING.iter().filter(|rule| !holds(rule)).map(|(path, _)| *path).collect()
}

fn sidekey(deployment: &Value) -> &Value {
    container(deployment, "initContainers")
}

fn app(deployment: &Value) -> &Value {
    container(deployment, "containers")
}

fn container<'a>(deployment: &'a Value, list: &str) -> &'a Value {
    let list = at(deployment, "spec.template.spec").get(list).and_then(Value::as_sequence).unwrap();
    assert_eq!(list.len(), 1);
    &list[0]
}

fn services() -> Value {
    serde_yaml::from_str(&services_text()).unwrap()
}

fn services_text() -> String {
    manifest("configmap.yaml")["data"]["services.yaml"].as_str().unwrap().to_owned()
}

fn manifest(file: &str) -> Value {
    serde_yaml::from_str(&source(file)).unwrap()
}

fn source(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap()
}

/// The node at a dotted path.
fn find<'a>(node: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(node, |node, key| node.get(key))
}

fn at<'a>(node: &'a Value, path: &str) -> &'a Value {
    find(node, path).unwrap_or_else(|| panic!("nothing at {path}"))
}

fn strings(node: &Value) -> Vec<String> {
    node.as_sequence().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> PathBuf {
    root().join("deploy/kubernetes")
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run: make test-deps"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
