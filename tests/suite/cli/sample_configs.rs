//! The samples under `config/` stay valid: the program itself reads every one.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{MockResponse, MockUpstream, Pki, Sidekey, openssl};

/// Folders of secrets and certificates in the samples.
const FOLDERS: [&str; 2] = ["/run/secrets/", "/etc/sidekey/"];

/// The stores of secrets in the samples.
const STORES: [&str; 2] =
    ["https://vault.example.com:8200", "https://vpce-0123.secretsmanager.eu-west-1.vpce.amazonaws.com"];

#[tokio::test]
async fn check_accepts_every_sample_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut samples: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(!samples.is_empty(), "there are samples");
    for sample in samples {
        check(&sample).await;
    }
}

/// Creates the secrets and certificates that the sample names, and checks it.
async fn check(sample: &Path) {
    let dir = TempDir::with_prefix("sidekey-sample-").unwrap();
    let mut text = std::fs::read_to_string(sample).unwrap();
    let pki = Pki::new();
    let rsa_key = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await;
    for folder in FOLDERS {
        for name in words_after(&text, folder) {
            let fixture = |name: &str| {
                let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/fixtures");
                std::fs::read_to_string(fixtures.join(name)).unwrap()
            };
            let content = match name {
                "github-app.pem" => rsa_key.clone(),
                "google-key.json" | "google-federation.json" => fixture(name),
                _ if name.contains(".pem") => pki.ca_pem(),
                _ => "a-secret-of-some-length".into(),
            };
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        text = text.replace(folder, &format!("{}/", dir.path().display()));
    }
    let included = sample.parent().unwrap().join("services.d");
    std::fs::create_dir(dir.path().join("services.d")).unwrap();
    let mut all = text.clone();
    for file in std::fs::read_dir(included).unwrap().map(|entry| entry.unwrap().path()) {
        let content = std::fs::read_to_string(&file).unwrap();
        all += &content;
        std::fs::write(dir.path().join("services.d").join(file.file_name().unwrap()), content).unwrap();
    }
    let store = store().await;
    for url in STORES {
        text = text.replace(url, &store.url());
    }
    let config = dir.path().join("sample.yaml");
    std::fs::write(&config, &text).unwrap();
    let env: Vec<_> = words_after(&all, "env: ").into_iter().map(|name| (name, "a-secret")).collect();

    let output = Sidekey::command(&["check", "--config", config.to_str().unwrap()], &env).await;
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}: {}", sample.display(), String::from_utf8_lossy(&said));
}

/// A store of secrets that accepts every login and has every secret.
async fn store() -> MockUpstream {
    let store = MockUpstream::plain().await;
    store.always(MockResponse::json(&json!({
        "auth": { "client_token": "a-token" }, "data": { "token": "from-a-store" },
        "SecretString": json!({ "token": "from-a-store" }).to_string(),
    })));
    store
}

/// The name after each occurrence of `prefix`.
fn words_after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_end = |character: char| !(character.is_ascii_alphanumeric() || "-_.".contains(character));
    text.split(prefix)
        .skip(1)
        .map(|rest| rest.split(is_end).next().unwrap())
        .filter(|word| !word.is_empty())
        .collect()
}
