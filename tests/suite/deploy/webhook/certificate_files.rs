//! The certificate is in files, as cert-manager has it in a Secret.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::setup::{Replica, asking, cluster, create};
use crate::harness::{Pki, Request, Sidekey, TIMEOUT, assert_eventually};
use crate::suite::observability::metrics_reference::{OF_WEBHOOK, documented, exposed};

const NAME: &str = "sidekey-webhook.sidekey.svc";

#[tokio::test]
async fn certificate_in_files_is_replaced_while_pods_are_created() {
    let kubernetes = Arc::new(cluster().await);
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidekey-webhook";
    let (old, new) = (Pki::named("old"), Pki::named("new"));
    let trusted = STANDARD.encode(old.ca_pem() + &new.ca_pem());
    let mut configuration = kubernetes.get(path).await.object;
    for entry in configuration["webhooks"].as_array_mut().unwrap() {
        entry["clientConfig"]["caBundle"] = json!(trusted);
    }
    assert_eq!(kubernetes.send("PUT", path, &configuration).await.status, 200);

    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    let write = |pki: &Pki| {
        let files = pki.server_files(&[NAME]);
        std::fs::copy(files.certificate, &certificate).unwrap();
        std::fs::copy(files.key, &key).unwrap();
    };
    write(&old);
    // It has no token with which it could ask for the version.
    let options = ["--namespace", "sidekey", "--kubernetes-version", "1.20"];
    let webhook = Replica::with_files(&certificate, &key, &options).await;
    webhook.ready().await;
    kubernetes.add_replica(webhook.address(), webhook.admin_url("").trim_start_matches("http://"));
    assert_eventually(TIMEOUT, "the service has it", async || kubernetes.ready_replicas() == 1).await;
    assert_eq!(create(&kubernetes, &asking("before")).await.containers(), ["sidekey", "app"]);

    // A certificate without its key keeps the old one in use.
    std::fs::copy(new.server_files(&[NAME]).certificate, &certificate).unwrap();
    assert_eventually(TIMEOUT, "the error is logged", async || {
        webhook.log().contains("does not match the certificate")
    })
    .await;
    assert_eq!(create(&kubernetes, &asking("between")).await.containers(), ["sidekey", "app"]);
    write(&new);
    assert_eventually(TIMEOUT, "the new certificate is presented", async || {
        webhook.log().contains("presents the new certificate")
    })
    .await;
    // Only the new one is trusted from now on.
    let mut configuration = kubernetes.get(path).await.object;
    for entry in configuration["webhooks"].as_array_mut().unwrap() {
        entry["clientConfig"]["caBundle"] = json!(STANDARD.encode(new.ca_pem()));
    }
    assert_eq!(kubernetes.send("PUT", path, &configuration).await.status, 200);
    let is_injected = async || create(&kubernetes, &asking("after")).await.containers() == ["sidekey", "app"];
    assert_eventually(TIMEOUT, "pods get their sidecar", is_injected).await;
}

#[tokio::test]
async fn webhook_without_a_certificate_or_a_cluster_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("tls.crt");
    let missing = missing.to_str().unwrap();
    for (arguments, expected) in [
        (vec!["--cert-file", missing, "--key-file", missing], "tls.crt"),
        (vec!["--namespace", "sidekey"], "KUBERNETES_SERVICE_HOST"),
        (vec![], "the namespace of the webhook is not known"),
    ] {
        let fixed = ["webhook", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let output = Sidekey::command(&[&fixed, arguments.as_slice()].concat(), &[]).await;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && log.contains(expected), "{log}");
    }
    let output = Sidekey::command(&["webhook", "--cert-file", missing], &[]).await;
    assert_eq!(output.status.code(), Some(64));
    let output = Sidekey::command(&["webhook", "--service", "../secrets"], &[]).await;
    assert_eq!(output.status.code(), Some(64));
}

#[tokio::test]
async fn metrics_page_has_every_family_of_the_webhook() {
    let pki = Pki::new();
    let files = pki.server_files(&[NAME]);
    let webhook = Replica::with_files(&files.certificate, &files.key, &["--namespace", "sidekey"]).await;
    let exposed = exposed(&Request::get(webhook.admin_url("/metrics")).send().await.text());
    let mut documented = documented();
    documented.retain(|name, _| {
        name.starts_with(OF_WEBHOOK) || name.starts_with("process_") || name == "sidekey_build_info"
    });
    assert_eq!(exposed, documented);
    let text = Request::get(webhook.admin_url("/metrics")).send().await.text();
    assert!(!text.contains("sidekey_webhook_certificate_expiry_timestamp_seconds 0\n"), "{text}");
}
