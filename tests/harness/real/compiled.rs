//! Clients that are compiled first: Java's `HttpClient` and Go's `net/http`.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::super::process::run;
use super::clients::Settings;
use super::{tests_file, tool};

/// Results of all calls with one configuration, by the client's name, and the version of HTTP of the last
/// call.
pub type Calls = (Value, String);

/// The calls of `tests/real/JavaClient.java`, with each of these settings. One process for all of them,
/// because its start is most of the work.
pub async fn java_calls(all: &[&Settings]) -> Vec<Calls> {
    let dir = TempDir::with_prefix("sidekey-java-").unwrap();
    let file = |name: &str| dir.path().join(name);
    let mut javac = Command::new(tool("javac"));
    javac.arg("-d").arg(dir.path()).arg(tests_file("real/JavaClient.java"));
    succeeded(javac).await;
    // In place of DNS.
    std::fs::write(file("hosts"), "127.0.0.1 localhost crm.example.com\n").unwrap();
    let mut authorities: Vec<&String> = all.iter().filter_map(|settings| settings.ca.as_ref()).collect();
    authorities.sort();
    authorities.dedup();
    for (number, ca) in authorities.iter().enumerate() {
        let mut keytool = Command::new(tool("keytool"));
        keytool.args([
            "-importcert",
            "-noprompt",
            "-storepass",
            "changeit",
            "-alias",
            &format!("ca{number}"),
        ]);
        keytool.args(["-file", ca, "-keystore"]).arg(file("trust.p12"));
        succeeded(keytool).await;
    }
    let mut command = Command::new(tool("java"));
    // The process is short-lived, and one of many at a time.
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    command.arg(format!("-Djdk.net.hosts.file={}", file("hosts").display()));
    command.arg("-Djdk.httpclient.allowRestrictedHeaders=host");
    command.arg(format!("-Djavax.net.ssl.trustStore={}", file("trust.p12").display()));
    command.arg("-Djavax.net.ssl.trustStorePassword=changeit");
    for (number, settings) in all.iter().enumerate() {
        let proxy = settings.proxy.as_ref().map(|url| url.trim_start_matches("http://").to_owned());
        for (name, value) in [
            ("BASE", Some(settings.base.clone())),
            ("AUTHORIZATION", settings.authorization.clone()),
            ("HOST", settings.host.clone()),
            ("PROXY", proxy),
        ] {
            command.envs(value.map(|value| (format!("{name}{number}"), value)));
        }
    }
    command.arg("-cp").arg(dir.path()).arg("JavaClient");
    let output = succeeded(command).await;
    String::from_utf8(output.stdout).unwrap().lines().map(calls).collect()
}

/// `tests/real/go_client.go`, built without modules: it uses the standard library only.
pub struct GoClient(TempDir);

impl GoClient {
    pub async fn build() -> Self {
        let dir = TempDir::with_prefix("sidekey-go-").unwrap();
        let mut command = Command::new(tool("go"));
        command.env("GO111MODULE", "off").env("GOCACHE", dir.path().join("cache")).env("GOFLAGS", "");
        command.args(["build", "-o"]).arg(dir.path().join("client")).arg(tests_file("real/go_client.go"));
        succeeded(command).await;
        Self(dir)
    }

    /// Its calls with these settings.
    pub async fn calls(&self, settings: &Settings) -> Calls {
        let mut command = Command::new(self.0.path().join("client"));
        settings.environment(&mut command);
        command.env("BASE", &settings.base);
        let is_direct = settings.proxy.is_none() && settings.socket.is_none();
        for (name, value) in [
            ("AUTHORIZATION", settings.authorization.clone()),
            ("HOST", settings.host.clone()),
            ("SOCKET", settings.socket.clone()),
            ("RESOLVE", is_direct.then(|| "127.0.0.1".to_owned())),
        ] {
            command.env_remove(name);
            command.envs(value.map(|value| (name, value)));
        }
        calls(&String::from_utf8(succeeded(command).await.stdout).unwrap())
    }
}

fn calls(line: &str) -> Calls {
    let mut answer: Value = serde_json::from_str(line).unwrap();
    let client = answer["client"].as_str().unwrap().to_owned();
    let version = answer["version"].as_str().unwrap().to_owned();
    (Value::Object([(client, answer["results"].take())].into_iter().collect()), version)
}

async fn succeeded(command: Command) -> Output {
    let what = format!("{command:?}");
    let output = run(command, b"").await;
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
