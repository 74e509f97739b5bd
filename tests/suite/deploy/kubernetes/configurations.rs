//! The configurations of the examples: `sidekey check` accepts them, with files as the volumes have them, and warns of nothing.

use std::fs;
use std::process::Command;

use serde_yaml::Value;

use super::objects::{find, list};
use super::rendered::rendered;
use crate::harness::{Pki, SecretMount, UpdateStyle};

const SECRETS: [(&str, &str); 2] = [("billing-password", "replace-me"), ("crm-client-secret", "replace-me")];

#[test]
fn configuration_of_the_sidecar_passes_check() {
    let volume = SecretMount::new(UpdateStyle::Symlink, &SECRETS);
    let placeholders = find(&rendered("examples/deployment").objects, "Secret", "sidekey");
    let keys: Vec<_> = placeholders["stringData"].as_mapping().unwrap().keys().collect();
    assert_eq!(keys, SECRETS.map(|(key, _)| Value::from(key)).iter().collect::<Vec<_>>());
    check(&config("examples/deployment", "sidekey"), &[("/run/secrets/sidekey", volume.path())], &[]);
}

#[test]
fn configuration_of_the_gateway_passes_check() {
    let pki = Pki::new();
    let files = pki.server_files(&["sidekey-gateway.sidekey.svc"]);
    let read = |path: &std::path::Path| fs::read_to_string(path).unwrap();
    let (certificate, key) = (read(&files.certificate), read(&files.key));
    let secrets = SecretMount::new(UpdateStyle::Symlink, &SECRETS);
    let store = [("password", "of-the-store"), ("fleet-key", "0123456789abcdef0123456789abcdef")];
    let store = SecretMount::new(UpdateStyle::Symlink, &store);
    let tls = SecretMount::new(UpdateStyle::Symlink, &[("tls.crt", &certificate), ("tls.key", &key)]);
    let ca = SecretMount::new(UpdateStyle::Symlink, &[("ca.crt", &pki.ca_pem())]);
    let account = SecretMount::new(UpdateStyle::Symlink, &[("token", "a.b.c"), ("ca.crt", &pki.ca_pem())]);
    let folders = [
        ("/run/secrets/sidekey-store", store.path()),
        ("/run/secrets/sidekey", secrets.path()),
        ("/run/sidekey/tls", tls.path()),
        ("/run/sidekey/store-ca", ca.path()),
        ("/var/run/secrets/kubernetes.io/serviceaccount", account.path()),
    ];
    for rendered in ["gateway", "gateway-values.yaml"] {
        check(&config(rendered, "sidekey-gateway"), &folders, &[]);
    }
}

#[test]
fn configurations_with_an_identity_pass_check() {
    // What the webhooks of EKS and AKS set.
    let token = SecretMount::new(UpdateStyle::Symlink, &[("token", "a.b.c")]);
    let file = format!("{}/token", token.path());
    let aws = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/orders"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.as_str()),
    ];
    check_without_secrets(&config("examples/aws", "sidekey"), &aws);
    let azure = [
        ("AZURE_TENANT_ID", "00000000-0000-0000-0000-000000000000"),
        ("AZURE_CLIENT_ID", "00000000-0000-0000-0000-000000000000"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.as_str()),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
    ];
    check(&config("examples/azure", "sidekey"), &[], &azure);

    let objects = &rendered("examples/gcp").objects;
    let federation =
        find(objects, "ConfigMap", "sidekey-google")["data"]["google-federation.json"].as_str().unwrap();
    let google =
        SecretMount::new(UpdateStyle::Symlink, &[("google-federation.json", federation), ("token", "a.b.c")]);
    check(&config("examples/gcp", "sidekey"), &[("/run/secrets/google", google.path())], &[]);
    // The audience of the token is the one that Google is told.
    let parsed: serde_json::Value = serde_json::from_str(federation).unwrap();
    let pod = super::objects::pod(find(objects, "Deployment", "orders")).unwrap();
    let volume = list(&pod["spec"], "volumes").iter().find(|volume| volume["name"] == "google").unwrap();
    let token = &list(&volume["projected"], "sources")[1]["serviceAccountToken"];
    assert_eq!(token["audience"], format!("https:{}", parsed["audience"].as_str().unwrap()));
    assert_eq!(
        parsed["credential_source"]["file"],
        format!("/run/secrets/google/{}", token["path"].as_str().unwrap())
    );
}

fn config(name: &str, config_map: &str) -> String {
    find(&rendered(name).objects, "ConfigMap", config_map)["data"]["services.yaml"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Runs `sidekey check`, with folders of the Pod replaced by folders that exist.
fn check(services: &str, folders: &[(&str, &str)], variables: &[(&str, &str)]) {
    let mut services = services.to_owned();
    for (mounted, folder) in folders {
        assert!(services.contains(mounted), "{mounted} is not used");
        services = services.replace(&format!("{mounted}/"), &format!("{folder}/"));
    }
    run(&services, &[], variables);
}

/// The same without reading secrets, which would call a store.
fn check_without_secrets(services: &str, variables: &[(&str, &str)]) {
    run(services, &["--without-secrets"], variables);
}

fn run(services: &str, options: &[&str], variables: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    fs::write(&file, services).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    check.arg("check").args(options).arg("--config").arg(&file).envs(variables.iter().copied());
    let output = check.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("warning"), "the example has no warnings: {said}");
}
