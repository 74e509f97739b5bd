//! A Job in the classic shape, run by `podman play kube`: it ends because the app's last act ends the sidecar.

use std::path::Path;
use std::time::Duration;

use super::container::build_image;
use super::injected::{Pod, UPSTREAM_URL, basic, curl, example, image_of_app, yaml};
use super::podman::Podman;
use crate::harness::assert_eventually;

const DEADLINE: Duration = Duration::from_secs(60);
const APP: &str = "import-import";
const SIDECAR: &str = "import-sidekey";

/// The app: calls an API through Sidekey, says what came back, waits, and ends with an outcome. podman has no hook that would hold it
/// back until Sidekey listens.
const ORDERS: &str = r#"#!/bin/sh
until answer=$(curl --silent --fail "$CRM_URL/contacts"); do /bin/busybox sleep 0.1; done
echo "$answer"
until [ -e /upstream/go ]; do /bin/busybox sleep 0.1; done
exit "$OUTCOME"
"#;

#[tokio::test]
async fn classic_job_ends_when_its_app_posts_quit() {
    let podman = Podman::new();
    build_image(&podman);
    let mut programs = curl();
    let scripts = tempfile::tempdir().unwrap();
    let orders = scripts.path().join("orders");
    std::fs::write(&orders, ORDERS).unwrap();
    super::injected::readable(&orders);
    programs.push((orders, "bin/orders".to_owned()));
    let programs: Vec<(&Path, &str)> =
        programs.iter().map(|(path, place)| (path.as_path(), place.as_str())).collect();
    image_of_app(&podman, &programs);

    // The Job has the outcome of the app, and the sidecar ends in either case.
    for outcome in ["0", "3"] {
        let mut pod = Pod::injected(&example("job-classic/job.yaml"), &[]);
        pod.serve(&["crm"], UPSTREAM_URL);
        pod.add_upstream();
        let app = pod.app();
        app["env"].as_sequence_mut().unwrap().push(yaml(&format!("{{ name: OUTCOME, value: '{outcome}' }}")));
        app.insert("volumeMounts".into(), yaml("[{ name: upstream, mountPath: /upstream }]"));
        let manifest = pod.manifest();
        podman.run(["play", "kube", "--network", "none", &manifest]);

        let answered = async || podman.logs(APP).contains(&basic("first"));
        assert_eventually(DEADLINE, "the app gets its answer", answered).await;
        let state = |container: &str| podman.inspect(container, "{{.State.Status}} {{.State.ExitCode}}");
        assert_eq!([state(APP), state(SIDECAR)], ["running 0", "running 0"], "nothing ends by itself");
        pod.script("go", "");
        assert_eventually(DEADLINE, "both have ended", async || {
            [APP, SIDECAR].iter().all(|container| state(container).starts_with("exited"))
        })
        .await;
        assert_eq!(state(APP), format!("exited {outcome}"));
        assert_eq!(state(SIDECAR), "exited 0", "{}", podman.logs(SIDECAR));
        let log = podman.logs(SIDECAR);
        assert!(log.contains("asked by POST /quit, shutting down"), "{log}");
        podman.down(&manifest);
    }
}

#[tokio::test]
async fn sidecar_of_a_deployment_ignores_quit() {
    let podman = Podman::new();
    build_image(&podman);
    image_of_app(&podman, &[]);
    let mut pod = Pod::injected(&example("app/deployment.yaml"), &[]);
    pod.serve(&["billing"], UPSTREAM_URL);
    pod.app().insert("command".into(), yaml("[/bin/busybox, sleep, '1000']"));
    podman.run(["play", "kube", "--network", "none", &pod.manifest()]);
    let app = |arguments: &[&str]| {
        let wget = ["exec", "orders-pod-0-orders", "/bin/busybox", "wget", "-q", "-O", "-"];
        podman.try_run(wget.iter().chain(arguments))
    };
    let admin = "http://127.0.0.1:9090";
    assert_eventually(DEADLINE, "ready", async || app(&[&format!("{admin}/readyz")]).is_some()).await;
    assert!(app(&["--post-data", "", &format!("{admin}/quit")]).is_none());
    assert!(app(&[&format!("{admin}/readyz")]).is_some(), "it goes on");
    assert_eq!(podman.inspect("orders-pod-0-sidekey", "{{.State.Status}}"), "running");
}
