//! moto: services of AWS that verify signatures.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::super::process::{Process, run};
use super::super::{Pki, assert_eventually};
use super::{installed, tests_file};

/// Calls without a signature that the server accepts at its start: those of `tests/real/aws_setup.py`.
const CALLS_OF_SETUP: &str = "7";

/// A running server on `https://localhost:PORT`, with a bucket, a user and a role.
pub struct Moto {
    process: Process,
    port: u16,
    ca_file: String,
    /// `access_key_id`, `secret_access_key` of the user, and `role_arn`.
    pub account: Value,
}

impl Moto {
    pub async fn start(pki: &Pki) -> Self {
        let files = pki.server_files(&["localhost", "*.s3.eu-west-1.amazonaws.com"]);
        let mut command = Command::new(installed(".venv-moto/bin/python"));
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0", "-c"]).arg(files.certificate);
        command.arg("-k").arg(files.key).env("INITIAL_NO_AUTH_ACTION_COUNT", CALLS_OF_SETUP);
        let process = Process::spawn("moto", &mut command);
        let port = |process: &Process| {
            let output = process.output();
            let (_, rest) = output.split_once("Running on https://127.0.0.1:")?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        assert_eventually(Duration::from_secs(60), "moto listens", async || port(&process).is_some()).await;
        let port = port(&process).unwrap();
        let mut moto = Self { process, port, ca_file: pki.ca_file(), account: Value::Null };
        let mut setup = Command::new(installed(".venv-aws/bin/python"));
        setup.arg(tests_file("real/aws_setup.py")).arg(moto.url()).env("AWS_CA_BUNDLE", &moto.ca_file);
        moto.account = serde_json::from_str(&moto.output(setup, b"").await).unwrap();
        moto
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn ca_file(&self) -> &str {
        &self.ca_file
    }

    /// A part of the account.
    pub fn part(&self, name: &str) -> &str {
        self.account[name].as_str().unwrap()
    }

    async fn output(&self, command: Command, input: &[u8]) -> String {
        let what = format!("{command:?}");
        let output = run(command, input).await;
        let (text, errors) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{what}: {text} {errors} {}", self.process.output());
        text
    }

    /// The output of boto3 on these endpoints (`tests/real/aws_calls.py`).
    pub async fn boto3(&self, s3: &str, sqs: &str) -> Value {
        let mut command = Command::new(installed(".venv-aws/bin/python"));
        command.arg(tests_file("real/aws_calls.py")).args([s3, sqs]);
        serde_json::from_str(&self.output(placeholder(command), b"").await).unwrap()
    }

    /// The output of boto3 with buckets in the host, through this proxy (`tests/real/aws_virtual_hosts.py`).
    pub async fn boto3_by_host(&self, proxy: &str) -> Value {
        let mut command = Command::new(installed(".venv-aws/bin/python"));
        command.arg(tests_file("real/aws_virtual_hosts.py")).arg(proxy);
        serde_json::from_str(&self.output(placeholder(command), b"").await).unwrap()
    }

    /// The output of the AWS CLI.
    pub async fn cli(&self, endpoint: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(installed(".venv-aws/bin/python"));
        command.arg(installed(".venv-aws/bin/aws")).args(["--endpoint-url", endpoint]).args(arguments);
        self.output(placeholder(command), b"").await
    }

    /// The lines of the AWS SDK for JavaScript, one for each key.
    pub async fn node(&self, endpoint: &str, keys: &[&str]) -> String {
        installed("node_modules/@aws-sdk/client-s3");
        let mut command = Command::new(super::tool("node"));
        command.arg(tests_file("real/aws_client.mjs")).arg(endpoint);
        self.output(placeholder(command), keys.join("\n").as_bytes()).await
    }

    /// The lines of the AWS SDK for Go, one for each key.
    pub async fn go(&self, endpoint: &str, keys: &[&str]) -> String {
        let dir = tempfile::TempDir::with_prefix("sidekey-aws-go-").unwrap();
        let client = dir.path().join("client");
        let mut build = Command::new(super::tool("go"));
        build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
        build.args(["build", "-o"]).arg(&client).arg(tests_file("real/aws_go_client.go"));
        self.output(build, b"").await;
        let mut command = Command::new(client);
        command.arg(endpoint);
        self.output(command, keys.join("\n").as_bytes()).await
    }
}

/// A command with a placeholder in place of a key.
fn placeholder(mut command: Command) -> Command {
    for name in
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"]
    {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
        .env("AWS_ACCESS_KEY_ID", "PLACEHOLDER")
        .env("AWS_SECRET_ACCESS_KEY", "placeholder")
        .env("AWS_DEFAULT_REGION", "eu-west-1")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}
