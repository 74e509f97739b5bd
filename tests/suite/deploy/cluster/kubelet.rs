//! What kubelets say of Pods, in a cluster without a node. No container is run, and each Pod is reported as ready.
//!
//! The program of a Pod that is to end (`restartPolicy: Never`, as those of `helm test`) is run by the test, with the arguments that the
//! Pod has, and the Pod ends as it does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::setup::Cluster;
use crate::harness::Sidekey;

const PODS: &str = "/api/v1/namespaces/sidekey/pods";
const INTERVAL: Duration = Duration::from_millis(200);

/// Reports Pods until it is dropped.
pub struct Kubelet(AbortHandle);

impl Kubelet {
    /// Reports the Pods of the namespace `sidekey`. `test_service` is the address behind the Services of `helm test`.
    pub fn start(cluster: &Arc<Cluster>, test_service: &str) -> Self {
        let (cluster, test_service) = (cluster.clone(), test_service.to_owned());
        let reporting = async move {
            loop {
                let pods = cluster.kubernetes.get(PODS).await.object;
                for pod in pods["items"].as_array().into_iter().flatten() {
                    if pod["status"]["phase"] == "Pending" {
                        report(&cluster, pod, &test_service).await;
                    }
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        Self(tokio::spawn(reporting).abort_handle())
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn report(cluster: &Cluster, pod: &Value, test_service: &str) {
    let status = if pod["spec"]["restartPolicy"] == "Never" {
        let phase = if succeeds(pod, test_service).await { "Succeeded" } else { "Failed" };
        json!({ "phase": phase })
    } else {
        let ready = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        json!({ "phase": "Running", "conditions": [ready("Initialized"), ready("ContainersReady"), ready("Ready")] })
    };
    let path = format!("{PODS}/{}/status", pod["metadata"]["name"].as_str().unwrap());
    let answer = cluster.kubernetes.send("PATCH", &path, &json!({ "status": status })).await;
    // Its owner may have removed it meanwhile.
    assert!(matches!(answer.status, 200 | 404), "{path}: {}", answer.object);
}

/// Runs the program of each container, and returns whether all succeed.
async fn succeeds(pod: &Value, test_service: &str) -> bool {
    for container in pod["spec"]["containers"].as_array().unwrap() {
        let arguments =
            container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        // A variable that the kubelet sets for each Service.
        let resolved: Vec<_> = arguments
            .map(|argument| if argument.contains("_SERVICE_HOST)") { test_service } else { argument })
            .collect();
        if !Sidekey::command(&resolved, &[]).await.status.success() {
            return false;
        }
    }
    true
}
