//! The variables of a command, and the services that it was given.

use super::setup::{HOST, SECRET, Stage, printed, text};

#[tokio::test]
async fn command_has_its_variables_and_none_with_a_secret() {
    let stage = Stage::with("admin: { token: { env: ADMIN } }").await;
    let env = [("ADMIN", "CANARY-admin-token"), ("SIDEKEY_X", "CANARY"), ("OWN", "a b=c\nd")];
    let output = stage.run_with(&[], &["env", "-0"], &env).await;
    let variables = printed(&output);
    assert!(!variables.contains("CANARY"), "{variables}");
    let variables: Vec<_> = variables.split('\0').collect();
    assert!(variables.contains(&"OWN=a b=c\nd"), "{variables:?}");
    let find =
        |name: &str| variables.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
    let proxy = find("HTTPS_PROXY").unwrap();
    assert!(proxy.starts_with("http://127.0.0.1:"), "{proxy}");
    assert_eq!((find("https_proxy"), find("SIDEKEY_URL")), (Some(proxy), Some(proxy)));
    assert_eq!(find("NO_PROXY"), Some("localhost,127.0.0.1,::1"));
    let kept = printed(&stage.run_with(&["--keep-env", "API_TOKEN"], &["env"], &env).await);
    assert!(kept.contains(&format!("API_TOKEN={SECRET}\n")), "{kept}");
}

#[tokio::test]
async fn secrets_of_services_that_do_not_run_are_not_read_and_removed() {
    let stage = Stage::new().await;
    stage.configure(&format!(
        "services:
  api: {}
  broken: {{ upstream: 'https://broken.invalid', auth: {{ type: bearer, token: {{ file: /nonexistent }} }} }}
  other: {{ upstream: 'https://other.invalid', auth: {{ type: bearer, token: {{ env: OTHER }} }} }}
",
        stage.service("{ env: API_TOKEN }")
    ));
    let output = stage.run_with(&["--service", "api"], &["env"], &[("OTHER", "CANARY")]).await;
    assert!(!printed(&output).contains("CANARY"));
    let all = stage.run(&[], &["env"]).await;
    assert_eq!(all.status.code(), Some(78), "{all:?}");
    assert!(text(&all.stderr).contains("services.broken.auth.token"), "{all:?}");
    let unknown = stage.run(&["--service", "apis"], &["env"]).await;
    assert_eq!((unknown.status.code(), text(&unknown.stdout)), (Some(78), String::new()));
    assert!(text(&unknown.stderr).contains("no service `apis`; did you mean `api`?"), "{unknown:?}");
}

#[tokio::test]
async fn certificates_are_in_a_private_folder_that_is_removed() {
    let stage = Stage::new().await;
    let shell = "dirname $SSL_CERT_FILE; stat -c '%a %n' $(dirname $SSL_CERT_FILE) $(dirname $SSL_CERT_FILE)/*; \
                 grep -rl 'PRIVATE KEY' $(dirname $SSL_CERT_FILE); exit 0";
    let output = printed(&stage.run(&[], &["sh", "-c", shell]).await);
    let folder = output.lines().next().unwrap();
    assert!(output.contains(&format!("\n700 {folder}\n")), "{output}");
    assert!(output.contains(&format!("\n600 {folder}/sidekey-ca.crt\n")), "{output}");
    assert!(
        !output.lines().any(|line| line.starts_with(folder) && line != folder),
        "a private key: {output}"
    );
    assert!(!std::path::Path::new(folder).exists());
}

#[tokio::test]
async fn ca_of_the_configuration_is_used_if_it_has_one() {
    let (cert, key) = crate::suite::ingress::setup::ca_for(HOST).await;
    let stage = Stage::new().await;
    let file = |name: &str, content: &str| {
        let path = stage.dir().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (cert_file, key_file) = (file("ca.crt", &cert), file("ca.key", &key));
    stage.configure(&format!(
        "intercept: {{ ca_cert_file: '{cert_file}', ca_key_file: '{key_file}' }}\nservices:\n  api: {}\n",
        stage.service("{ env: API_TOKEN }")
    ));
    let shell = format!("curl -sS --cacert {cert_file} https://{HOST}/v1/x && curl -sS https://{HOST}/v1/x");
    assert_eq!(printed(&stage.run(&[], &["sh", "-c", &shell]).await), "AdaAda");
    stage.assert_credentials(2);
}

#[tokio::test]
async fn command_runs_beside_a_sidecar_with_the_same_configuration() {
    let stage = Stage::new().await;
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    stage.configure(&format!(
        "listen: {address}\nadmin: {{ listen: 'unix:{}' }}\nservices:\n  api: {}\n",
        stage.dir().join("no/such/folder/admin.sock").display(),
        stage.service("{ env: API_TOKEN }")
    ));
    let shell = format!("curl -sS https://{HOST}/v1/x");
    assert_eq!(printed(&stage.run(&[], &["sh", "-c", &shell]).await), "Ada");
}
