//! A person who runs `sidekey login`, and their browser.

use std::io::Write as _;
use std::process::ChildStdin;

use url::Url;

use super::client::{Request, Response};
use super::process::Process;
use super::{Sidekey, TIMEOUT, assert_eventually};

/// The running command.
pub struct Login {
    process: Process,
    stdin: ChildStdin,
}

impl Login {
    /// Starts `sidekey login` with the configuration of a running Sidekey. The first argument is the service.
    pub fn start(sidekey: &Sidekey, arguments: &[&str]) -> Self {
        let (process, stdin) = sidekey.spawn_command(&[&["login"], arguments].concat());
        Self { process, stdin }
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Waits until the output contains `text`.
    pub async fn prints(&self, text: &str) {
        let printed = async || self.output().contains(text);
        assert_eventually(TIMEOUT, &format!("login prints {text:?}"), printed).await;
    }

    /// The address that the person is asked to open.
    pub async fn address(&self) -> Url {
        self.prints("&state=").await;
        self.prints("\n\n").await;
        let output = self.output();
        let line = output.lines().find(|line| line.contains("&state=")).unwrap();
        Url::parse(line).unwrap()
    }

    /// One query parameter of that address.
    pub async fn parameter(&self, name: &str) -> String {
        let address = self.address().await;
        let found = address.query_pairs().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("no {name} in {address}")).1.into_owned()
    }

    /// The callback address, with these parameters and the login's own `state`.
    pub async fn callback_url(&self, parameters: &[(&str, &str)]) -> Url {
        let mut url = Url::parse(&self.parameter("redirect_uri").await).unwrap();
        url.query_pairs_mut().extend_pairs(parameters).append_pair("state", &self.parameter("state").await);
        url
    }

    /// The browser requests the callback address with these parameters and the login's own `state`.
    pub async fn call_back(&self, parameters: &[(&str, &str)]) -> Response {
        Request::get(self.callback_url(parameters).await).send().await
    }

    /// The person types, or pastes, a line.
    pub fn type_line(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Waits for the end; returns the exit code.
    pub async fn ended(&mut self) -> i32 {
        self.process.ended(TIMEOUT).await.code().expect("an exit code, not a signal")
    }
}
