//! What `sidekey inject` writes, run by `podman play kube`: two containers that share a loopback.
//!
//! podman 4.3 has no native sidecars, so that the Pod is that of the classic shape. Its network has a loopback and nothing else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::container::{IMAGE, build_image};
use super::injected::{APP, Pod, UPSTREAM_URL, basic, example, image_of_app, readable, yaml};
use super::podman::Podman;
use crate::harness::{SecretMount, UpdateStyle, assert_eventually, installed};
use crate::suite::deploy::kubernetes::objects::{containers, list, pod as pod_of};

const DEADLINE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn pod_of_the_example_runs_with_its_sidecar() {
    let (podman, mut pod) = (Podman::new(), Pod::injected(&example("app/deployment.yaml"), &[]));
    build_image(&podman);
    image_of_app(&podman, &[]);
    // The probes, as the kubelet would send them.
    let probes = probes(&pod);
    pod.serve(&["billing"], UPSTREAM_URL);
    pod.app().insert("command".into(), yaml("[/bin/busybox, sleep, '1000']"));
    pod.add_upstream();
    podman.run(["play", "kube", "--network", "none", &pod.manifest()]);
    let app = |arguments: &[&str]| podman.try_run(["exec", "orders-pod-0-orders"].iter().chain(arguments));
    let get = |url: &str| app(&["/bin/busybox", "wget", "-q", "-O", "-", url]);

    for (probe, url) in probes {
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
    image_of_app(&podman, &[]);
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

/// Name and URL of each probe of the sidecar.
fn probes(pod: &Pod) -> Vec<(&'static str, String)> {
    let spec = &pod_of(&pod.workload).unwrap()["spec"];
    let sidecar = containers(spec).find(|container| container["name"] == "sidekey").unwrap();
    let port = list(sidecar, "ports")[0]["containerPort"].as_u64().unwrap();
    let url = |probe: &str| {
        let path = sidecar[probe]["httpGet"]["path"].as_str().unwrap();
        format!("http://127.0.0.1:{port}{path}")
    };
    ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| (probe, url(probe))).to_vec()
}
