//! A person who runs `sidekey login`, and the browser in front of them.

use std::io::Write as _;
use std::process::ChildStdin;
use std::time::Duration;

use url::Url;

use super::client::{Call, Response};
use super::process::Process;
use super::{Sidekey, assert_eventually};

const PATIENCE: Duration = Duration::from_secs(30);

/// The command, running.
pub struct Login {
    process: Process,
    stdin: ChildStdin,
}

impl Login {
    /// Beside a running Sidekey, with its configuration. `arguments` begin with the service.
    pub fn start(sidekey: &Sidekey, arguments: &[&str]) -> Self {
        let (process, stdin) = sidekey.beside(&[&["login"], arguments].concat());
        Self { process, stdin }
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Waits until it has written this.
    pub async fn says(&self, text: &str) {
        let said = async || self.output().contains(text);
        assert_eventually(PATIENCE, &format!("login says {text:?}"), said).await;
    }

    /// The address that the person is to open.
    pub async fn address(&self) -> Url {
        self.says("&state=").await;
        self.says("\n\n").await;
        let output = self.output();
        let line = output.lines().find(|line| line.contains("&state=")).unwrap();
        Url::parse(line).unwrap()
    }

    /// One parameter of the address.
    pub async fn parameter(&self, name: &str) -> String {
        let address = self.address().await;
        let found = address.query_pairs().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("no {name} in {address}")).1.into_owned()
    }

    /// Where the browser goes in the end, with these parameters and the login's own `state`.
    pub async fn way_back(&self, parameters: &[(&str, &str)]) -> Url {
        let mut url = Url::parse(&self.parameter("redirect_uri").await).unwrap();
        url.query_pairs_mut().extend_pairs(parameters).append_pair("state", &self.parameter("state").await);
        url
    }

    /// The browser comes back with these parameters and the login's own `state`.
    pub async fn comes_back(&self, parameters: &[(&str, &str)]) -> Response {
        Call::get(self.way_back(parameters).await).send().await
    }

    /// The person types, or pastes.
    pub fn types(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Its exit code.
    pub async fn ended(&mut self) -> i32 {
        self.process.ended(PATIENCE).await.code().expect("an exit code, not a signal")
    }
}
