//! Clients that are compiled before they run: Java's `HttpClient` and Go's `net/http`.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::super::process::run;
use super::clients::Settings;
use super::{tests_file, tool};

/// A client, built.
pub struct Compiled {
    dir: TempDir,
    is_java: bool,
}

impl Compiled {
    /// `tests/real/JavaClient.java`.
    pub async fn java() -> Self {
        let dir = TempDir::with_prefix("sidekey-java-").unwrap();
        let mut command = Command::new(tool("javac"));
        command.arg("-d").arg(dir.path()).arg(tests_file("real/JavaClient.java"));
        succeeded(command).await;
        // In place of DNS.
        std::fs::write(dir.path().join("hosts"), "127.0.0.1 localhost crm.example.com\n").unwrap();
        Self { dir, is_java: true }
    }

    /// `tests/real/go_client.go`, without modules: it needs nothing but the standard library.
    pub async fn go() -> Self {
        let dir = TempDir::with_prefix("sidekey-go-").unwrap();
        let mut command = Command::new(tool("go"));
        command.env("GO111MODULE", "off").env("GOCACHE", dir.path().join("cache")).env("GOFLAGS", "");
        command.args(["build", "-o"]).arg(dir.path().join("client")).arg(tests_file("real/go_client.go"));
        succeeded(command).await;
        Self { dir, is_java: false }
    }

    /// Makes its calls; their results by the client's name, and the version of HTTP that was spoken last.
    pub async fn calls(&self, settings: &Settings) -> (Value, String) {
        let mut command = if self.is_java { self.java_command(settings).await } else { self.go_command() };
        settings.environment(&mut command);
        command.env("BASE", &settings.base);
        let host = |url: &String| url.trim_start_matches("http://").to_owned();
        for (name, value) in [
            ("AUTHORIZATION", settings.authorization.clone()),
            ("HOST", settings.host.clone()),
            ("SOCKET", settings.socket.clone()),
            ("PROXY", settings.proxy.as_ref().map(host)),
            ("RESOLVE", settings.proxy.is_none().then(|| "127.0.0.1".to_owned())),
        ] {
            command.env_remove(name);
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        if settings.socket.is_some() {
            command.env_remove("RESOLVE");
        }
        let output = succeeded(command).await;
        let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let client = answer["client"].as_str().unwrap().to_owned();
        let version = answer["version"].as_str().unwrap().to_owned();
        let results = [(client, answer["results"].take())].into_iter().collect();
        (Value::Object(results), version)
    }

    fn go_command(&self) -> Command {
        Command::new(self.dir.path().join("client"))
    }

    async fn java_command(&self, settings: &Settings) -> Command {
        let mut command = Command::new(tool("java"));
        let file = |name: &str| self.dir.path().join(name);
        // Short-lived, and one of many at a time.
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
        command.arg(format!("-Djdk.net.hosts.file={}", file("hosts").display()));
        command.arg("-Djdk.httpclient.allowRestrictedHeaders=host");
        if let Some(ca) = &settings.ca {
            let store = file(&format!("trust-{:x}.p12", fastrand::u64(..)));
            let mut keytool = Command::new(tool("keytool"));
            keytool.args(["-importcert", "-noprompt", "-alias", "ca", "-storepass", "changeit"]);
            succeeded({
                keytool.args(["-file", ca, "-keystore"]).arg(&store);
                keytool
            })
            .await;
            command.arg(format!("-Djavax.net.ssl.trustStore={}", store.display()));
            command.arg("-Djavax.net.ssl.trustStorePassword=changeit");
        }
        command.arg("-cp").arg(self.dir.path()).arg("JavaClient");
        command
    }
}

async fn succeeded(command: Command) -> Output {
    let what = format!("{command:?}");
    let output = run(command, b"").await;
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
