//! Shared set-up: an HTTPS API whose name only a forward proxy knows, and commands in front of it.

use std::path::PathBuf;
use std::process::Output;

use tempfile::TempDir;

use crate::harness::{MockResponse, MockUpstream, Pki, Process, Sidekey, Tunnels};

/// The credential of the API. No command may have it.
pub const SECRET: &str = "CANARY-0123456789";

/// The host of the API, which no name server knows.
pub const HOST: &str = "api.internal.invalid";

/// An API, and a configuration with a service `api` for it.
pub struct Stage {
    pub upstream: MockUpstream,
    pub pki: Pki,
    pub tunnels: Tunnels,
    dir: TempDir,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with("").await
    }

    /// A stage with more in its configuration, at the top level.
    pub async fn with(more: &str) -> Self {
        let pki = Pki::new();
        let upstream = MockUpstream::tls_with(pki.server(&[HOST])).await;
        upstream.always(MockResponse::ok("Ada"));
        let tunnels = Tunnels::to(upstream.address(), Tunnels::OPEN).await;
        let stage = Self { upstream, pki, tunnels, dir: TempDir::with_prefix("sidekey-test-").unwrap() };
        stage.configure(&format!("{more}\nservices:\n  api: {}\n", stage.service("{ env: API_TOKEN }")));
        stage
    }

    /// The entry of a service for the API, with a token from this source.
    pub fn service(&self, token: &str) -> String {
        format!(
            "{{ upstream: 'https://{HOST}/v1', proxy: {{ url: 'http://{}' }}, tls: {{ ca_file: '{}' }}, \
             auth: {{ type: bearer, token: {token} }} }}",
            self.tunnels.address,
            self.pki.ca_file()
        )
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.config(), config).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("sidekey.yaml")
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn arguments<'a>(config: &'a str, options: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
        [&["exec", "--config", config], options, &["--"], command].concat()
    }

    /// Runs a command to its end.
    pub async fn run(&self, options: &[&str], command: &[&str]) -> Output {
        self.run_with(options, command, &[]).await
    }

    /// Runs a command to its end, with more variables around Sidekey.
    pub async fn run_with(&self, options: &[&str], command: &[&str], env: &[(&str, &str)]) -> Output {
        let config = self.config();
        let arguments = Self::arguments(config.to_str().unwrap(), options, command);
        Sidekey::command(&arguments, &[&[("API_TOKEN", SECRET)], env].concat()).await
    }

    /// Starts a command.
    pub fn spawn(&self, options: &[&str], command: &[&str]) -> Process {
        let config = self.config();
        let arguments = Self::arguments(config.to_str().unwrap(), options, command);
        Sidekey::spawn(&arguments, &[("API_TOKEN", SECRET)])
    }

    /// The upstream got this number of requests, each with the credential.
    pub fn assert_credentials(&self, count: usize) {
        let requests = self.upstream.requests();
        assert_eq!(requests.len(), count);
        for request in requests {
            assert_eq!(request.header("authorization"), Some(&*format!("Bearer {SECRET}")), "{request:?}");
        }
    }
}

/// The standard output of a command that succeeded.
pub fn printed(output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
    out
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
