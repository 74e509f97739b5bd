//! No replica of the webhook runs.

use serde_json::{Value, json};

use super::setup::{INJECT, PODS, asking, cluster, create, pod, ready_replica};
use crate::harness::{Kubernetes, TIMEOUT, assert_eventually, containers};

async fn pods(kubernetes: &Kubernetes) -> Vec<Value> {
    kubernetes.get(PODS).await.object["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn without_the_webhook_only_pods_that_ask_wait_for_it() {
    let mut kubernetes = cluster().await;
    let refused = create(&kubernetes, &asking("asks")).await;
    assert_eq!(refused.status, 500, "{}", refused.object);
    assert!(
        refused.message().contains("failed calling webhook \"pod.inject.sidekey.io\""),
        "{}",
        refused.message()
    );
    // The series of the alert SidekeyWebhookUnreachable, by the API server itself.
    let metrics = kubernetes.text("/metrics").await;
    let mut series =
        metrics.lines().filter(|line| line.starts_with("apiserver_admission_webhook_rejection_count{"));
    let labels = ["error_type=\"calling_webhook_error\"", "name=\"pod.inject.sidekey.io\""];
    let is_counted = |line: &str| labels.iter().all(|label| line.contains(label)) && line.ends_with(" 1");
    assert!(series.any(is_counted), "{metrics}");
    let silent = create(&kubernetes, &pod("silent", &json!({}), &json!({}))).await;
    assert_eq!((silent.status, silent.containers()), (201, vec!["app"]));

    // What makes pods is created, and its pods are not.
    kubernetes.start_controllers(&["deployment", "replicaset", "job"]);
    let template = |labels: Value| json!({ "metadata": { "labels": labels }, "spec": { "restartPolicy": "Never", "containers": [{ "name": "app", "image": "app:1" }] } });
    let mut of_deployment = template(json!({ "app": "web", INJECT: "enabled" }));
    of_deployment["spec"]["restartPolicy"] = "Always".into();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "web" } }, "template": of_deployment },
    });
    kubernetes.create("/apis/apps/v1/namespaces/shop/deployments", &deployment).await;
    let job = |name: &str, labels: Value| json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name }, "spec": { "template": template(labels) } });
    let jobs = "/apis/batch/v1/namespaces/shop/jobs";
    kubernetes.create(jobs, &job("report", json!({ INJECT: "enabled" }))).await;
    kubernetes.create(jobs, &job("silent", json!({}))).await;
    let of = |pods: &[Value], owner: &str| {
        let starts = |pod: &&Value| pod["metadata"]["name"].as_str().unwrap().starts_with(owner);
        pods.iter().filter(starts).map(|pod| containers(pod).join(" ")).collect::<Vec<_>>()
    };
    assert_eventually(TIMEOUT, "the Job that does not ask has its pod", async || {
        of(&pods(&kubernetes).await, "silent-") == ["app"]
    })
    .await;
    let failure = async || {
        let conditions = kubernetes.get("/apis/apps/v1/namespaces/shop/deployments/web").await.object;
        let conditions = conditions["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let failed = conditions.into_iter().find(|condition| condition["type"] == "ReplicaFailure");
        failed.map(|condition| condition["message"].as_str().unwrap().to_owned())
    };
    assert_eventually(TIMEOUT, "the Deployment says why", async || {
        failure().await.is_some_and(|message| message.contains("pod.inject.sidekey.io"))
    })
    .await;
    assert_eq!(pods(&kubernetes).await.len(), 2, "nothing that asked runs without its sidecar");

    // They come by themselves, without another word.
    let webhook = ready_replica(&kubernetes).await;
    for owner in ["web-", "report-"] {
        assert_eventually(2 * TIMEOUT, owner, async || {
            of(&pods(&kubernetes).await, owner) == ["sidekey app"]
        })
        .await;
    }
    assert_eq!(create(&kubernetes, &asking("asks")).await.containers(), ["sidekey", "app"]);
    assert_eq!(webhook.reviews("injected").await, 3);
}
