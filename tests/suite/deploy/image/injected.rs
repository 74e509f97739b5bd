//! A workload of deploy/kubernetes/examples with the sidecar that `sidekey inject` adds, as a manifest for `podman play kube`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

use super::container::IMAGE;
use super::podman::Podman;
use crate::harness::{SecretMount, UpdateStyle, tool};
use crate::suite::deploy::kubernetes::inject::inject;
use crate::suite::deploy::kubernetes::objects::find;
use crate::suite::deploy::kubernetes::rendered::{kubernetes, rendered};

/// The image of apps: busybox, its shell, and curl.
pub const APP: &str = "localhost/app:test";
/// The only upstream of a Pod with a network of its own.
pub const UPSTREAM_URL: &str = "http://127.0.0.1:8000";

/// An upstream in one line of shell: answers each request with the credential that it got.
const UPSTREAM: &str = r#"#!/bin/sh
while read -r line; do
  line=${line%?}
  [ -n "$line" ] || break
  case $line in [Aa]uthorization:*) got=${line#*: } ;; esac
done
printf 'HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' "${#got}" "$got"
"#;

/// A workload, with what podman needs in its place.
pub struct Pod {
    pub workload: Value,
    pub secrets: SecretMount,
    /// The configuration in the ConfigMap.
    pub services: Value,
    config: Value,
    dir: TempDir,
}

impl Pod {
    /// The workload in a file, with the sidecar in the classic shape: podman 4.3 has no native ones.
    pub fn injected(file: &Path, flags: &[&str]) -> Self {
        let workload = inject(file, &[&["--native-sidecar", "false"], flags].concat());
        let objects = &rendered("examples/configuration").objects;
        let config = find(objects, "ConfigMap", "sidekey").clone();
        let mut services: Value = yaml(config["data"]["services.yaml"].as_str().unwrap());
        services["reload"] = yaml("{ interval: 200ms }");
        let secrets = SecretMount::new(UpdateStyle::Symlink, &[("billing-password", "first")]);
        readable(Path::new(secrets.path()));
        let dir = TempDir::new().unwrap();
        readable(dir.path());
        Self { workload, secrets, services, config, dir }
    }

    /// Leaves these services, each with the credential of `billing` and this upstream.
    pub fn serve(&mut self, names: &[&str], upstream: &str) {
        let mut service = self.services["services"]["billing"].clone();
        service["upstream"] = upstream.into();
        let services = names.iter().map(|name| (Value::from(*name), service.clone()));
        self.services["services"] = Value::Mapping(services.collect::<Mapping>());
    }

    /// Adds an upstream to the Pod, at [`UPSTREAM_URL`].
    pub fn add_upstream(&mut self) {
        self.script("upstream", UPSTREAM);
        let upstream = format!(
            "{{ name: upstream, image: {APP}, imagePullPolicy: Never, \
             command: [/bin/busybox, nc, -ll, -p, '8000', -e, /upstream/upstream], \
             volumeMounts: [{{ name: upstream, mountPath: /upstream }}] }}"
        );
        let folder = self.dir.path().display().to_string();
        self.list("containers").push(yaml(&upstream));
        self.list("volumes").push(yaml(&format!("{{ name: upstream, hostPath: {{ path: '{folder}' }} }}")));
    }

    /// The only container of the app.
    pub fn app(&mut self) -> &mut Mapping {
        let is_app =
            |container: &&mut Value| container["name"] != "sidekey" && container["name"] != "upstream";
        self.list("containers").iter_mut().find(is_app).unwrap().as_mapping_mut().unwrap()
    }

    fn list(&mut self, key: &str) -> &mut Vec<Value> {
        self.workload["spec"]["template"]["spec"][key].as_sequence_mut().unwrap()
    }

    /// Mounts a file or a folder of this machine in every container.
    pub fn mount(&mut self, name: &str, path: &Path, place: &str) {
        readable(path);
        for container in self.list("containers") {
            let mount = yaml(&format!("{{ name: {name}, mountPath: {place}, readOnly: true }}"));
            let mounts =
                container.as_mapping_mut().unwrap().entry("volumeMounts".into()).or_insert(yaml("[]"));
            mounts.as_sequence_mut().unwrap().push(mount);
        }
        let kind = if path.is_dir() { "Directory" } else { "File" };
        let volume = format!("{{ name: {name}, hostPath: {{ path: '{}', type: {kind} }} }}", path.display());
        self.list("volumes").push(yaml(&volume));
    }

    /// A program in a folder that containers can mount.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, text).unwrap();
        readable(&file);
        file
    }

    /// The path of the manifest for podman: images that there are, and nothing that podman does otherwise than the kubelet.
    pub fn manifest(&mut self) -> String {
        for container in self.list("containers") {
            let is_sidekey = container["name"] == "sidekey";
            let container = container.as_mapping_mut().unwrap();
            container.insert("image".into(), if is_sidekey { IMAGE } else { APP }.into());
            container.insert("imagePullPolicy".into(), "Never".into());
            // podman publishes ports, runs probes by curl, and has no hooks.
            for key in ["ports", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle"] {
                container.remove(key);
            }
        }
        // What the kubelet makes of a Secret: files behind a link that it swaps.
        let secrets = self.secrets.path().to_owned();
        let volumes = self.list("volumes");
        volumes.retain(|volume| volume["name"] != "sidekey-secrets");
        volumes.push(yaml(&format!("{{ name: sidekey-secrets, hostPath: {{ path: '{secrets}' }} }}")));
        self.config["data"]["services.yaml"] = serde_yaml::to_string(&self.services).unwrap().into();
        let file = self.dir.path().join("pod.yaml");
        let texts = [&self.config, &self.for_podman()].map(|object| serde_yaml::to_string(object).unwrap());
        fs::write(&file, texts.join("---\n")).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// One replica of a Deployment. podman 4.3 has no Jobs: their Pod.
    fn for_podman(&self) -> Value {
        let mut workload = self.workload.clone();
        if workload["kind"] == "Deployment" {
            workload["spec"]["replicas"] = 1.into();
            return workload;
        }
        let mut pod = workload["spec"]["template"].clone();
        pod["metadata"]["name"] = workload["metadata"]["name"].clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod
    }
}

/// A file of deploy/kubernetes/examples.
pub fn example(file: &str) -> PathBuf {
    kubernetes().join("examples").join(file)
}

/// Builds the image of apps. These programs are in its folder `bin`.
pub fn image_of_app(podman: &Podman, programs: &[(&Path, &str)]) {
    let busybox = tool("busybox");
    let programs = [&[(busybox.as_path(), "bin/busybox"), (&busybox, "bin/sh")], programs].concat();
    podman.image_with(&programs, APP);
}

/// curl, and what it loads: the path of each file, and its place in an image.
pub fn curl() -> Vec<(PathBuf, String)> {
    let curl = tool("curl");
    let mut ldd = std::process::Command::new(tool("ldd"));
    let (said, _) = super::podman::succeed(ldd.arg(&curl));
    // `libc.so.6 => /lib/… (0x…)`, and the loader without an arrow.
    let libraries = said.split_whitespace().filter(|word| word.starts_with('/'));
    let files = libraries.map(|path| (PathBuf::from(path), path.trim_start_matches('/').to_owned()));
    files.chain([(curl, "bin/curl".to_owned())]).collect()
}

/// What the upstream of a Pod answers if its request has this password.
pub fn basic(password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("svc-orders:{password}")))
}

/// Lets the user of a container read a file, or enter a folder.
pub fn readable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}
