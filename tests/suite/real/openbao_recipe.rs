//! The recipe of docs/CONFIGURATION.md for Vault in Kubernetes, run as it stands: its commands by the command line of `OpenBao`, and then
//! its configuration. Only the servers, the paths and what a Pod has are those of the test.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use super::openbao::{claims, issuer, jwt};
use crate::harness::{MockResponse, MockUpstream, OpenBao, Pki, Sidekey};

/// The blocks of this language in the recipe, without the indentation of its list.
fn blocks(language: &str) -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(page).unwrap();
    let recipe = page.split_once("\n#### Recipe: Vault in Kubernetes\n").unwrap().1;
    let recipe = recipe.split("\n### ").next().unwrap();
    let fence = format!("   ```{language}\n");
    let parts = recipe.split(fence.as_str()).skip(1);
    let unindented = |line: &str| line.strip_prefix("   ").unwrap_or(line).to_owned() + "\n";
    parts.map(|part| part.split("   ```").next().unwrap().lines().map(unindented).collect()).collect()
}

/// Runs commands in a shell that stops at the first failure. `vault` is the command line of the store. It is run again while an engine
/// that was just enabled refuses.
async fn run(bao: &OpenBao, script: &str) {
    let command_line = format!(
        r#"#!/bin/sh
for _ in $(seq 100); do
  '{}' "$@" 2>"$0.said" && exit
  status=$?
  grep -q 'Upgrading from non-versioned' "$0.said" || break
  sleep 0.1
done
cat "$0.said" >&2
exit $status
"#,
        OpenBao::command().display()
    );
    let command_line = bao.file("vault", &command_line);
    let made_executable = std::process::Command::new("chmod").args(["+x", &command_line]).status().unwrap();
    assert!(made_executable.success());
    let folder = Path::new(&command_line).parent().unwrap().display();
    let done = Command::new("sh")
        .args(["-euc", script])
        .env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()))
        .env("VAULT_ADDR", bao.url())
        .env("VAULT_CACERT", bao.ca_file())
        .env("VAULT_TOKEN", bao.root_token())
        .output()
        .await
        .unwrap();
    assert!(done.status.success(), "{script}\n{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn recipe_of_vault_in_kubernetes_runs() {
    let (pki, upstream, kubernetes) = (Pki::new(), MockUpstream::plain().await, MockUpstream::plain().await);
    let bao = OpenBao::start(&pki).await;
    // The API server of Kubernetes, which reviews the token.
    let user = json!({ "username": "system:serviceaccount:default:app", "uid": "u-1", "groups": [] });
    let review = json!({ "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
        "status": { "authenticated": true, "audiences": ["bao"], "user": user } });
    kubernetes.always(
        MockResponse::status(201).body(review.to_string()).header("Content-Type", "application/json"),
    );

    let scripts = blocks("sh");
    let host = "kubernetes_host=https://kubernetes.default.svc\n";
    assert!(scripts.len() == 2 && scripts[0].contains(host));
    // In its Pod the store reads the CA of the cluster from a file.
    let ca = bao.file("kubernetes-ca.pem", &pki.ca_pem());
    let here =
        format!("kubernetes_host={} disable_local_ca_jwt=true kubernetes_ca_cert=@{ca}\n", kubernetes.url());
    run(&bao, &scripts[0].replace(host, &here)).await;
    run(&bao, &scripts[1]).await;

    let snippets = blocks("yaml");
    assert_eq!(snippets.len(), 1);
    let mut configuration: Value = serde_yaml::from_str(&snippets[0]).unwrap();
    let store = &mut configuration["secret_stores"]["vault"];
    assert_eq!(store["tls"]["ca_file"], "/etc/sidekey/vault-ca.pem");
    store["url"] = json!(bao.url());
    store["tls"]["ca_file"] = json!(bao.ca_file());
    // In a Pod this is the token of the service account.
    let (key, _) = issuer();
    store["login"]["jwt"] = json!({ "file": bao.file("token", &jwt(&key, &claims())) });
    configuration["services"]["crm"]["upstream"] = json!(upstream.url());
    let services = format!("crm: {}\n", configuration["services"]["crm"]);
    let text = Sidekey::configuration_serving(&services);
    let text = format!("secret_stores: {}\n{text}", configuration["secret_stores"]);
    let sidekey = Sidekey::configured(&text).start_ready().await;
    assert_eq!(sidekey.get("/crm/x").await.status, 200);
    assert_eq!(upstream.last_request().header("Authorization"), Some("Bearer s3cret"));
}
