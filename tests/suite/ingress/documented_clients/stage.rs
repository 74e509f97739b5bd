//! What a section describes, on this machine: Sidekey with the section's configuration, and its commands.

use std::path::Path;

use super::commands;
use super::commands::Command;
use crate::harness::{Pki, Sidekey, installed, run, tool};
use crate::suite::ingress::setup::ca_for;

/// The key with which boto3 signs.
pub const SECRET_KEY: &str = "s3cret";

/// The upstream of a section.
pub struct Api<'a> {
    /// The name of the service.
    pub service: &'static str,
    /// The upstream's host in the document.
    pub documented: &'static str,
    /// Its address in this test, such as `localhost:4711`.
    pub here: &'a str,
    /// The content of the secret file.
    pub secret: &'static str,
}

pub struct Stage<'a> {
    section: &'static str,
    api: Api<'a>,
    pki: &'a Pki,
    sidekey: Sidekey,
}

impl<'a> Stage<'a> {
    /// Starts Sidekey with the section's configuration.
    ///
    /// A name that ends in `.internal` is 127.0.0.2 here, because no DNS is needed for that.
    pub async fn set(section: &'static str, pki: &'a Pki, api: Api<'a>) -> Self {
        let host = api.here.split(':').next().unwrap();
        let (cert, key) = ca_for(host).await;
        let documented = format!("https://{}", api.documented);
        let upstream = format!(
            "https://{}\n    resolve: 127.0.0.1\n    tls: {{ ca_file: '{}' }}",
            api.here,
            pki.ca_file()
        );
        let services = commands::configuration(section)
            .replace(&documented, &upstream)
            .replace(&format!("{}.internal", api.service), "127.0.0.2")
            .replace("127.0.0.1:8081", "127.0.0.1:0")
            .replace(&format!("/run/secrets/{}", api.service), "$DIR/secret");
        assert!(services.contains(&upstream) && services.contains("127.0.0.2"), "{services}");
        let config = format!(
            "listen: [127.0.0.1:0, 127.0.0.2:0]
admin: 127.0.0.1:0
log: {{ level: debug, format: json }}
access_log: true
intercept: {{ ca_cert_file: $DIR/ca.crt, ca_key_file: $DIR/ca.key }}
{services}"
        );
        let builder = Sidekey::configured(&config).file("ca.crt", &cert).file("ca.key", &key);
        let sidekey = builder.file("secret", api.secret).start().await;
        Self { section, api, pki, sidekey }
    }

    /// Replaces the document's addresses and files with those of this test.
    fn here(&self, text: &str) -> String {
        let service = self.api.service;
        let own = self.sidekey.service_url(service, "");
        text.replace(&format!("{service}.internal:8080"), self.sidekey.shared_addresses()[1])
            .replace("127.0.0.1:8080", &self.sidekey.address().to_string())
            .replace("127.0.0.1:8081", own.trim_start_matches("http://"))
            .replace("/etc/sidekey/sidekey-ca.crt", self.sidekey.dir().join("ca.crt").to_str().unwrap())
            .replace(self.api.documented, self.api.here)
    }

    /// Runs every command of the section, each in a folder of its own that `prepare` fills. A command
    /// succeeds, or fails with the text that the document says.
    pub async fn run_all(&self, prepare: impl AsyncFn(&Path)) {
        let commands = commands::commands(self.section);
        assert!(!commands.is_empty(), "{} has commands", self.section);
        for command in commands {
            let dir = tempfile::tempdir().unwrap();
            prepare(dir.path()).await;
            self.run(&command, dir.path()).await;
        }
    }

    async fn run(&self, command: &Command, dir: &Path) {
        for (name, text) in commands::programs(self.section) {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let output = run(self.shell(&self.here(command.line), dir), b"").await;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let line = command.line;
        assert_eq!(output.status.success(), command.fails_with.is_none(), "{line}\n{said}{}", self.log());
        if let Some(text) = command.fails_with {
            assert!(said.contains(text), "{line}\n{said}{}", self.log());
        }
    }

    /// A shell with the clients of the tests, nothing of the developer's settings, and trust in the
    /// upstream's certificate: a client that goes past Sidekey reaches the upstream.
    fn shell(&self, line: &str, dir: &Path) -> std::process::Command {
        let python = installed(".venv-clients/bin/python");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = std::process::Command::new(tool("bash"));
        shell.args(["-euo", "pipefail", "-c", line]).current_dir(dir).env_clear();
        shell.env("PATH", format!("{}:{path}", python.parent().unwrap().display())).env("HOME", dir);
        for name in
            ["NODE_EXTRA_CA_CERTS", "npm_config_cafile", "PIP_CERT", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO"]
        {
            shell.env(name, self.pki.ca_file());
        }
        let settings = [
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_MAX_ATTEMPTS", "1"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C.UTF-8"),
            ("PIP_NO_INPUT", "1"),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ("npm_config_audit", "false"),
            ("npm_config_update_notifier", "false"),
            ("npm_config_fetch_retries", "0"),
        ];
        shell.envs(settings).env("PIP_TARGET", dir.join("installed"));
        shell
    }

    fn log(&self) -> String {
        let log = self.sidekey.log();
        let requests = log.lines().filter(|line| line.contains("url.path"));
        requests.fold(String::new(), |all, line| all + line + "\n")
    }
}
