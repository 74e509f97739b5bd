//! oidc-provider, a certified OAuth2 server, and an API that takes no other tokens than its own.

use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::super::process::Process;
use super::super::{Pki, assert_eventually};
use super::{installed, tests_file, tool};

/// A running provider with its API, both HTTPS on `localhost`. See `tests/real/oidc-provider.mjs`.
pub struct OidcProvider {
    process: Process,
    urls: Urls,
}

#[derive(Deserialize)]
struct Urls {
    issuer: String,
    api: String,
}

impl OidcProvider {
    /// The secret of the clients `basic` and `post`.
    pub const SECRET: &str = "secret-secret-secret-secret-secret-32";

    /// Issues tokens that last this many seconds.
    pub async fn issuing(pki: &Pki, token_seconds: u32) -> Self {
        installed("node_modules/oidc-provider");
        let files = pki.server_files(&["localhost", "127.0.0.1"]);
        let mut command = Command::new(tool("node"));
        command.arg(tests_file("real/oidc-provider.mjs"));
        command.env("CERTIFICATE", files.certificate).env("KEY", files.key);
        command.env("NODE_EXTRA_CA_CERTS", pki.ca_file()).env("TOKEN_SECONDS", token_seconds.to_string());
        let mut process = Process::spawn("oidc-provider", &mut command);
        let ready =
            |process: &Process| process.output().lines().find_map(|line| serde_json::from_str(line).ok());
        assert_eventually(Duration::from_secs(30), "oidc-provider is ready", async || {
            assert!(process.exit_status().is_none(), "oidc-provider ended: {}", process.output());
            ready(&process).is_some_and(|_: Urls| true)
        })
        .await;
        let urls = ready(&process).unwrap();
        Self { process, urls }
    }

    pub fn token_url(&self) -> String {
        self.urls.issuer.clone() + "/token"
    }

    /// `/introspected/…` and `/jwt/…` answer 200 to a live token, 401 to anything else.
    pub fn api_url(&self) -> String {
        self.urls.api.clone()
    }

    /// One line for each request to the provider or the API: `provider POST /token 200 ERROR`, `api GET /jwt 200`.
    pub fn log(&self) -> String {
        self.process.output()
    }
}
