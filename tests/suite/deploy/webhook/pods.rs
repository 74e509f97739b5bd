//! Which pods get a sidecar, and what their authors are told.

use serde_json::{Value, json};

use super::setup::{INJECT, PODS, asking, cluster, create, pod, ready_replica};
use crate::harness::containers;

#[tokio::test]
async fn pod_gets_its_sidecar_if_it_or_its_namespace_asks() {
    let kubernetes = cluster().await;
    let webhook = ready_replica(&kubernetes).await;
    let of = |name: &str, value: &str| pod(name, &json!({ INJECT: value }), &json!({}));

    let created = create(&kubernetes, &asking("asks")).await;
    assert_eq!((created.status, created.containers()), (201, vec!["sidekey", "app"]), "{}", created.object);
    let stored = kubernetes.get(&format!("{PODS}/asks")).await;
    assert_eq!(stored.containers(), ["sidekey", "app"]);
    assert_eq!(stored.object["metadata"]["annotations"]["sidekey.io/injected"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        stored.object["spec"]["containers"][0]["image"],
        concat!("sidekey:", env!("CARGO_PKG_VERSION"))
    );

    // Neither of these is even sent to the webhook.
    let before = webhook.reviews("injected").await;
    let silent = pod("silent", &json!({}), &json!({}));
    assert_eq!(create(&kubernetes, &silent).await.containers(), ["app"]);
    assert_eq!(create(&kubernetes, &of("refuses", "disabled")).await.containers(), ["app"]);
    assert_eq!((webhook.reviews("injected").await, webhook.reviews("skipped").await), (before, 0));

    kubernetes.create_namespace("eager", &[(INJECT, "enabled")]).await;
    let eager = "/api/v1/namespaces/eager/pods";
    assert_eq!(containers(&kubernetes.create(eager, &silent).await), ["sidekey", "app"]);
    assert_eq!(containers(&kubernetes.create(eager, &asking("asks")).await), ["sidekey", "app"]);
    assert_eq!(containers(&kubernetes.create(eager, &of("refuses", "disabled")).await), ["app"]);
    let mut on_host = silent.clone();
    (on_host["metadata"]["name"], on_host["spec"]["hostNetwork"]) = ("host".into(), true.into());
    let answer = kubernetes.send("POST", eager, &on_host).await;
    assert_eq!((answer.status, answer.containers()), (201, vec!["app"]), "its namespace asks, it cannot");
    assert!(answer.warnings[0].starts_with("sidekey: no sidecar was added"), "{:?}", answer.warnings);

    let of_message =
        |event: &Value| event["message"] == "sidecar injected" && event["k8s.pod.name"] == "asks";
    let logged = webhook.events().into_iter().find(of_message).expect("an event");
    assert_eq!(logged["k8s.namespace.name"], "shop");
}

#[tokio::test]
async fn dry_run_shows_the_sidecar_and_stores_nothing() {
    let kubernetes = cluster().await;
    let webhook = ready_replica(&kubernetes).await;
    let path = format!("{PODS}?dryRun=All");
    let shown = kubernetes.send("POST", &path, &asking("dry")).await;
    assert_eq!((shown.status, shown.containers()), (201, vec!["sidekey", "app"]));
    assert_eq!(kubernetes.get(&format!("{PODS}/dry")).await.status, 404);
    let denied = kubernetes
        .send("POST", &path, &pod("dry", &json!({ INJECT: "enabled" }), &json!({ "sidekey.io/port": "0" })))
        .await;
    assert_eq!(denied.status, 403);
    assert!(webhook.log().contains("\"is_dry_run\":true"));
}

#[tokio::test]
async fn pod_that_asks_wrongly_is_denied_with_the_reason() {
    let kubernetes = cluster().await;
    let webhook = ready_replica(&kubernetes).await;
    let labels = json!({ INJECT: "enabled" });
    for (annotation, value) in
        [("memory-limit", "lots"), ("imgae", "sidekey:1"), ("port", "0"), ("inject", "yes")]
    {
        let name = format!("sidekey.io/{annotation}");
        let answer = create(&kubernetes, &pod("wrong", &labels, &json!({ name.as_str(): value }))).await;
        assert_eq!(answer.status, 403, "{}", answer.object);
        let message = answer.message();
        assert!(
            message.contains("admission webhook \"pod.inject.sidekey.io\" denied the request: sidekey: "),
            "{message}"
        );
        assert!(message.contains(&name), "{message}");
    }
    let mut on_host = asking("host");
    on_host["spec"]["hostNetwork"] = true.into();
    let answer = create(&kubernetes, &on_host).await;
    assert!(answer.status == 403 && answer.message().contains("hostNetwork"), "{}", answer.object);
    let claims = pod("claims", &labels, &json!({ "sidekey.io/injected": "0.2.0" }));
    let answer = create(&kubernetes, &claims).await;
    assert!(answer.status == 403 && answer.message().contains("no container `sidekey`"), "{}", answer.object);
    assert_eq!(webhook.reviews("denied").await, 6);
    assert_eq!(kubernetes.get(PODS).await.object["items"], json!([]));
}

#[tokio::test]
async fn pods_of_the_system_and_of_the_webhook_never_get_a_sidecar() {
    let kubernetes = cluster().await;
    for namespace in ["kube-system", "sidekey"] {
        // There is no replica: a call of the webhook would fail.
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let created = kubernetes.create(&path, &asking("asks")).await;
        assert_eq!(containers(&created), ["app"], "{namespace}");
    }
    // And if somebody widens the selector.
    let webhook = ready_replica(&kubernetes).await;
    for namespace in ["kube-system", "sidekey"] {
        let path = format!("/api/v1/namespaces/{namespace}");
        let unlabelled = json!({ "metadata": { "labels": { "kubernetes.io/metadata.name": null } } });
        assert_eq!(kubernetes.send("PATCH", &path, &unlabelled).await.status, 200);
        let answer = kubernetes.send("POST", &format!("{path}/pods"), &asking("again")).await;
        assert_eq!((answer.status, answer.containers()), (201, vec!["app"]), "{namespace}");
        assert!(answer.warnings[0].contains("pods of this namespace never get one"), "{:?}", answer.warnings);
    }
    assert_eq!((webhook.reviews("skipped").await, webhook.reviews("injected").await), (2, 0));
}
