//! Another webhook changes the pod after this one, which is called again then.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::setup::{asking, cluster, create, ready_replica};
use crate::harness::{MockResponse, MockUpstream};

#[tokio::test]
async fn webhook_that_is_called_again_changes_nothing() {
    let kubernetes = cluster().await;
    let webhook = ready_replica(&kubernetes).await;
    let other = MockUpstream::tls(kubernetes.pki()).await;
    other.respond_with(|request| {
        let review: Value = serde_json::from_slice(&request.body).unwrap();
        let container = json!({ "name": "other", "image": "other:1" });
        let patch = json!([{ "op": "add", "path": "/spec/containers/-", "value": container }]);
        MockResponse::json(&json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "response": {
                "uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch",
                "patch": STANDARD.encode(patch.to_string()),
            },
        }))
    });
    // Configurations are called in the order of their names.
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "zz-other" },
        "webhooks": [{
            "name": "other.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": { "url": other.url(), "caBundle": STANDARD.encode(kubernetes.pki().ca_pem()) },
            "rules": [{ "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"] }],
        }],
    });
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    kubernetes.create(path, &configuration).await;

    let created = create(&kubernetes, &asking("asks")).await;
    assert_eq!(
        (created.status, created.containers()),
        (201, vec!["sidekey", "app", "other"]),
        "{}",
        created.object
    );
    assert_eq!((webhook.reviews("injected").await, webhook.reviews("unchanged").await), (1, 1));
}
