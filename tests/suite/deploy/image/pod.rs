//! What `sidekey inject` writes, run by `podman play kube`: two containers that share a loopback.
//!
//! podman 4.3 has no native sidecars, so that the Pod is that of the classic shape. Its network has a loopback and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

use super::container::{IMAGE, build_image};
use super::podman::Podman;
use crate::harness::{SecretMount, UpdateStyle, assert_eventually, installed, tool};
use crate::suite::deploy::kubernetes::inject::inject;
use crate::suite::deploy::kubernetes::objects::{containers, find, list, pod as pod_of};
use crate::suite::deploy::kubernetes::rendered::{kubernetes, rendered};

const APP: &str = "localhost/app:test";
const DEADLINE: Duration = Duration::from_secs(60);

/// An upstream in one line of shell: answers each request with the credential that it got.
const UPSTREAM: &str = r#"#!/bin/sh
while read -r line; do
  line=${line%?}
  [ -n "$line" ] || break
  case $line in [Aa]uthorization:*) got=${line#*: } ;; esac
done
printf 'HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' "${#got}" "$got"
"#;

#[tokio::test]
async fn pod_of_the_example_runs_with_its_sidecar() {
    let (podman, pod) = (Podman::new(), Pod::injected("app/deployment.yaml"));
    build_image(&podman);
    image_of_app(&podman);
    podman.run(["play", "kube", "--network", "none", &pod.manifest()]);
    let app = |arguments: &[&str]| podman.try_run(["exec", "orders-pod-0-orders"].iter().chain(arguments));
    let get = |url: &str| app(&["/bin/busybox", "wget", "-q", "-O", "-", url]);

    // The probes, as the kubelet would send them.
    let spec = &pod_of(&pod.workload).unwrap()["spec"];
    let sidecar = containers(spec).find(|container| container["name"] == "sidekey").unwrap();
    let port = list(sidecar, "ports")[0]["containerPort"].as_u64().unwrap();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = sidecar[probe]["httpGet"]["path"].as_str().unwrap();
        let url = format!("http://127.0.0.1:{port}{path}");
        assert_eventually(DEADLINE, probe, async || get(&url).is_some()).await;
    }

    // The app has no credential, and its request has one.
    let url = "http://127.0.0.1:8080/billing/invoices";
    assert_eq!(get(url).as_deref(), Some(basic("first").as_str()));
    pod.secrets.replace(&[("billing-password", "second")], async || {}).await;
    assert_eventually(DEADLINE, "the rotated secret is used", async || get(url) == Some(basic("second")))
        .await;
    assert!(app(&["/bin/busybox", "ls", "/run/secrets/sidekey"]).is_none(), "the app has no secret");

    assert_eq!(podman.inspect("orders-pod-0-sidekey", "{{.HostConfig.ReadonlyRootfs}}"), "true");
    assert_eq!(
        podman.inspect("orders-pod-0-sidekey", "{{.Config.User}}"),
        "65532:65532",
        "the user of the image"
    );
    assert!(app(&["/bin/busybox", "touch", "/file"]).is_none(), "the app cannot write");
    podman.run(["stop", "--time", "30", "orders-pod-0-sidekey"]);
    assert_eq!(podman.inspect("orders-pod-0-sidekey", "{{.State.ExitCode}}"), "0");
    let log = podman.logs("orders-pod-0-sidekey");
    assert!(!log.contains("first") && !log.contains("second"), "{log}");
}

#[tokio::test]
async fn compose_example_runs_with_its_sidecar() {
    let (podman, compose) = (Podman::new(), TempDir::new().unwrap());
    build_image(&podman);
    image_of_app(&podman);
    let secrets = SecretMount::new(UpdateStyle::Symlink, &[("billing-password", "first")]);
    readable(Path::new(secrets.path()));
    // This machine may have no bridge. Ports are found, because the network is that of the machine.
    let ports: Vec<_> = (0..2).map(|_| crate::harness::free_port()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose");
    let services = fs::read_to_string(folder.join("config/services.yaml")).unwrap();
    let services = services.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", ports[0]));
    fs::create_dir(compose.path().join("config")).unwrap();
    let admin = format!("admin: 127.0.0.1:{}\n{services}", ports[1]);
    fs::write(compose.path().join("config/services.yaml"), admin).unwrap();
    readable(compose.path());
    readable(&compose.path().join("config"));
    fs::copy(folder.join("compose.yaml"), compose.path().join("compose.yaml")).unwrap();
    let local = "services:\n  sidekey: { network_mode: host, ports: !reset [] }\n  orders: { command: [/bin/busybox, sleep, '1000'], stop_grace_period: 0s }\n";
    fs::write(compose.path().join("local.yaml"), local).unwrap();

    let run = |arguments: &[&str]| {
        let mut command = podman.environment(installed(".venv-compose/bin/podman-compose"));
        command.current_dir(compose.path()).env("SIDEKEY_IMAGE", IMAGE).env("APP_IMAGE", APP);
        command.env("SIDEKEY_SECRETS", secrets.path());
        command.arg(format!("--podman-args={}", podman.flags().join(" ")));
        command
            .args(["--project-name", "example", "--file", "compose.yaml", "--file", "local.yaml"])
            .args(arguments);
        super::podman::succeed(&mut command)
    };
    run(&["up", "--detach"]);
    let get = |url: String| {
        podman.try_run(["exec", "example_orders_1", "/bin/busybox", "wget", "-q", "-O", "-", &url])
    };
    assert_eventually(DEADLINE, "ready", async || {
        get(format!("http://127.0.0.1:{}/readyz", ports[1])).is_some()
    })
    .await;

    // The health check of the image, and that of the file, are the same program.
    let probe = [
        "exec",
        "--env",
        &format!("SIDEKEY_ADMIN=127.0.0.1:{}", ports[1]),
        "example_sidekey_1",
        "/sidekey",
        "probe",
    ];
    assert!(podman.try_run(probe).is_some());
    assert_eq!(podman.inspect("example_sidekey_1", "{{.HostConfig.ReadonlyRootfs}}"), "true");
    run(&["down"]);
    assert_eq!(podman.run(["ps", "--all", "--quiet"]), "");
}

/// A workload, with what podman needs in its place: its images, one replica, and an upstream in the Pod.
struct Pod {
    workload: Value,
    config: Value,
    secrets: SecretMount,
    dir: TempDir,
}

impl Pod {
    /// The workload in a file of deploy/kubernetes/examples, with the sidecar that `sidekey inject` adds.
    fn injected(file: &str) -> Self {
        let workload = inject(&kubernetes().join("examples").join(file), &["--native-sidecar", "false"]);
        let objects = &rendered("examples/configuration").objects;
        let secrets = SecretMount::new(UpdateStyle::Symlink, &[("billing-password", "first")]);
        readable(Path::new(secrets.path()));
        let dir = TempDir::new().unwrap();
        readable(dir.path());
        fs::write(dir.path().join("upstream"), UPSTREAM).unwrap();
        readable(&dir.path().join("upstream"));
        Self { workload, config: find(objects, "ConfigMap", "sidekey").clone(), secrets, dir }
    }

    /// The path of the manifest for podman.
    fn manifest(&self) -> String {
        let mut workload = self.workload.clone();
        if workload["kind"] == "Deployment" {
            workload["spec"]["replicas"] = 1.into();
        }
        let spec = &mut workload["spec"]["template"]["spec"];
        for container in spec["containers"].as_sequence_mut().unwrap() {
            let is_sidekey = container["name"] == "sidekey";
            let container = container.as_mapping_mut().unwrap();
            container.insert("image".into(), if is_sidekey { IMAGE } else { APP }.into());
            container.insert("imagePullPolicy".into(), "Never".into());
            if !is_sidekey {
                container.insert("command".into(), yaml("[/bin/busybox, sleep, '1000']"));
            }
            // podman publishes ports, runs probes by curl, and has no hooks.
            for key in ["ports", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle"] {
                container.remove(key);
            }
        }
        let upstream = format!(
            "{{ name: upstream, image: {APP}, imagePullPolicy: Never, \
             command: [/bin/busybox, nc, -ll, -p, '8000', -e, /upstream/upstream], \
             volumeMounts: [{{ name: upstream, mountPath: /upstream }}] }}"
        );
        spec["containers"].as_sequence_mut().unwrap().push(yaml(&upstream));
        let volumes = spec["volumes"].as_sequence_mut().unwrap();
        volumes.retain(|volume| volume["name"] != "sidekey-secrets");
        // What the kubelet makes of a Secret: files behind a link that it swaps.
        for (name, path) in
            [("sidekey-secrets", self.secrets.path()), ("upstream", self.dir.path().to_str().unwrap())]
        {
            volumes.push(yaml(&format!("{{ name: {name}, hostPath: {{ path: '{path}' }} }}")));
        }

        let mut config = self.config.clone();
        let mut services: Value = yaml(config["data"]["services.yaml"].as_str().unwrap());
        let billing = services["services"]["billing"].clone();
        services["services"] = Value::Mapping(Mapping::from_iter([("billing".into(), billing)]));
        services["services"]["billing"]["upstream"] = "http://127.0.0.1:8000".into();
        services["reload"] = yaml("{ interval: 200ms }");
        config["data"]["services.yaml"] = serde_yaml::to_string(&services).unwrap().into();

        let file = self.dir.path().join("pod.yaml");
        let texts = [config, workload].map(|object| serde_yaml::to_string(&object).unwrap());
        fs::write(&file, texts.join("---\n")).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

fn image_of_app(podman: &Podman) {
    podman.image_with(&[(&tool("busybox"), "bin/busybox"), (&tool("busybox"), "bin/sh")], APP);
}

fn basic(password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("svc-orders:{password}")))
}

fn readable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}
