//! oidc-provider, a certified OAuth2 server, and an API that accepts its tokens only.

use std::process::Command;
use std::time::Duration;

use rcgen::KeyPair;
use serde::Deserialize;
use tempfile::TempDir;

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually};
use super::{installed, tests_file, tool};

/// A running provider with its API, both HTTPS on `localhost`. See `tests/real/oidc-provider.mjs`.
pub struct OidcProvider {
    process: Process,
    urls: Urls,
    keys: TempDir,
}

#[derive(Deserialize)]
struct Urls {
    issuer: String,
    api: String,
}

impl OidcProvider {
    /// The secret of the clients `basic`, `post`, `csjwt` and `dpop`.
    pub const SECRET: &str = "secret-secret-secret-secret-secret-32";

    /// A provider whose tokens last `token_seconds`.
    pub async fn issuing(pki: &Pki, token_seconds: u32) -> Self {
        installed("node_modules/oidc-provider");
        let files = pki.server_files(&["localhost", "127.0.0.1"]);
        let mut command = Command::new(tool("node"));
        command.arg(tests_file("real/oidc-provider.mjs"));
        command.env("CERTIFICATE", files.certificate).env("KEY", files.key);
        command.env("NODE_EXTRA_CA_CERTS", pki.ca_file()).env("TOKEN_SECONDS", token_seconds.to_string());
        let keys = TempDir::with_prefix("sidekey-oidc-").unwrap();
        let write = |name: &str, content: &str| std::fs::write(keys.path().join(name), content).unwrap();
        write("private.pem", &KeyPair::generate().unwrap().serialize_pem());
        let own = rcgen::generate_simple_self_signed(["self".to_owned()]).unwrap();
        write("self.pem", &own.cert.pem());
        write("self.key", &own.signing_key.serialize_pem());
        let (certificate, key) = pki.client_pem("mtls-client");
        write("client.pem", &certificate);
        write("client.key", &key);
        command.env("PRIVATE_KEY", keys.path().join("private.pem"));
        command.env("SELF_SIGNED", keys.path().join("self.pem"));
        let mut process = Process::spawn("oidc-provider", &mut command);
        let ready =
            |process: &Process| process.output().lines().find_map(|line| serde_json::from_str(line).ok());
        assert_eventually(Duration::from_secs(30), "oidc-provider is ready", async || {
            assert!(process.exit_status().is_none(), "oidc-provider ended: {}", process.output());
            ready(&process).is_some_and(|_: Urls| true)
        })
        .await;
        let urls = ready(&process).unwrap();
        Self { process, urls, keys }
    }

    pub fn token_url(&self) -> String {
        self.urls.issuer.clone() + "/token"
    }

    pub fn issuer(&self) -> String {
        self.urls.issuer.clone()
    }

    /// The file of a client: `private.pem` of `pkjwt`, `client.pem` and `client.key` of `tls`, `self.pem` and
    /// `self.key` of `self`.
    pub fn file(&self, name: &str) -> String {
        self.keys.path().join(name).to_str().unwrap().to_owned()
    }

    /// `/introspected/…` and `/jwt/…` answer 200 to a live token, `/dpop/…` to one with a proof; 401 to
    /// anything else.
    pub fn api_url(&self) -> String {
        self.urls.api.clone()
    }

    /// A person's browser opens this address of the provider, logs in as `alice`, consents, and follows the
    /// redirect. `code` is entered if the page asks for one.
    pub async fn browse(&self, pki: &Pki, address: &str, code: &str) {
        let mut command = Command::new(tool("node"));
        command.arg(tests_file("real/browser.mjs")).args([address, code]);
        command.env("NODE_EXTRA_CA_CERTS", pki.ca_file());
        let output = run(command, b"").await;
        assert!(output.status.success(), "the browser is stuck: {output:?}");
    }

    /// One line for each request to the provider or the API: `provider POST /token 200 ERROR`, `api GET /jwt
    /// 200`.
    pub fn log(&self) -> String {
        self.process.output()
    }
}
