//! deploy/systemd: the units, and socket activation.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{
    Connection, MockUpstream, Process, Request, Sidekey, TIMEOUT, assert_eventually, free_port, run, tool,
};
use crate::suite::reload::setup::bearer;

/// What makes a unit with secrets of the one without.
const DROP_IN: &str = "sidekey.service.d/credentials.conf";
/// The largest exposure that is accepted, in tenths.
const MAX_EXPOSURE: &str = "--threshold=15";

fn unit(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(name)).unwrap()
}

/// A folder with the units. systemd-analyze checks that the program exists too, so the path is that of the one under test.
fn units() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sidekey.service.d")).unwrap();
    for name in ["sidekey.service", "sidekey.socket", DROP_IN] {
        let program = concat!("ExecStart=", env!("CARGO_BIN_EXE_sidekey"), " run");
        let text = unit(name).replace("ExecStart=sidekey run", program);
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// Runs `systemd-analyze security` on the service; returns whether it passes, and what is printed.
async fn security(dir: &Path) -> (bool, String) {
    let mut command = Command::new(tool("systemd-analyze"));
    command.args(["security", "--offline=true", "--no-pager", MAX_EXPOSURE]).arg(dir.join("sidekey.service"));
    let output = run(command, b"").await;
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn systemd_service_exposure_is_at_most_1_5() {
    let dir = units();
    let (passes, table) = security(dir.path()).await;
    assert!(passes && table.contains("Overall exposure level for sidekey.service: "), "{table}");
    // The tool counts: without one of the settings it fails.
    let text = unit("sidekey.service").replace("RestrictNamespaces=yes\n", "");
    std::fs::write(dir.path().join("sidekey.service"), text).unwrap();
    assert!(!security(dir.path()).await.0);
}

#[test]
fn systemd_service_is_not_run_by_root() {
    let text = unit("sidekey.service");
    assert!(text.contains("\nDynamicUser=yes\n") && !text.contains("\nUser="), "{text}");
    assert!(!text.contains("=+/") && !text.contains("=!/"), "no command is run with privileges");
}

#[test]
fn systemd_service_lets_sidekey_restrict_itself() {
    let allowed = unit("sidekey.service");
    let allowed = allowed.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).next_back();
    for call in
        ["prlimit64", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"]
    {
        assert!(allowed.unwrap().split(' ').any(|name| name == call), "{call}");
    }
}

#[tokio::test]
async fn systemd_credentials_are_read_as_documented() {
    let text = unit(DROP_IN);
    let loaded = text.lines().filter_map(|line| line.strip_prefix("LoadCredential=")?.split_once(':'));
    // As systemd does it: a folder with the files, and its path in the environment.
    let (upstream, folder) = (MockUpstream::plain().await, tempfile::tempdir().unwrap());
    let service = |(name, source): (&str, &str)| {
        assert!(source.starts_with("/etc/sidekey/secrets/"), "{source}");
        std::fs::write(folder.path().join(name), format!("secret-of-{name}\n")).unwrap();
        bearer(name, &upstream, &format!("{{ file: '${{CREDENTIALS_DIRECTORY}}/{name}' }}"))
    };
    let services: String = loaded.clone().map(service).collect();
    let sidekey = Sidekey::serving(&services)
        .env("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap())
        .start()
        .await;
    for (name, _) in loaded.clone() {
        assert_eq!(sidekey.get(&format!("/{name}/x")).await.status, 200);
        assert_eq!(
            upstream.last_request().header("authorization"),
            Some(format!("Bearer secret-of-{name}").as_str())
        );
    }
    assert_eq!(loaded.count(), 2);
}

#[tokio::test]
async fn systemd_units_pass_systemd_analyze() {
    let dir = units();
    let mut command = Command::new(tool("systemd-analyze"));
    command.arg("verify").args(["sidekey.service", "sidekey.socket"].map(|name| dir.path().join(name)));
    let output = run(command, b"").await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("sidekey")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[tokio::test]
async fn socket_activation_serves_on_passed_sockets() {
    let upstream = MockUpstream::plain().await;
    let dir = tempfile::tempdir().unwrap();
    let [proxy, admin] = [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let socket = dir.path().join("own.sock");
    let config = dir.path().join("services.yaml");
    let text = format!(
        "listen: [{proxy}, 'unix:{}']\nadmin: {admin}\nlog: {{ level: info, format: json }}\n\
         services: {{ api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }} }}\n",
        socket.display(),
        upstream.url()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(tool("systemd-socket-activate"));
    for address in [proxy.to_string(), socket.to_str().unwrap().to_owned(), admin.to_string()] {
        command.args(["-l", &address]);
    }
    command.arg(env!("CARGO_BIN_EXE_sidekey")).args(["run", "--config"]).arg(&config);
    let process = Process::spawn("systemd-socket-activate", &mut command);
    assert_eventually(TIMEOUT, "it listens", async || process.output().matches("Listening on").count() == 3)
        .await;
    assert!(!process.output().contains("\"listening\""), "no connection has come yet");
    let answer = Request::get(format!("http://{proxy}/api/x")).send().await;
    assert_eq!(answer.status, 200, "{}", process.output());
    let mut caller = Connection::open_unix(&socket).await;
    caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(caller.response().await.status, 200);
    assert_eq!(Request::get(format!("http://{admin}/readyz")).send().await.status, 200);
}

#[tokio::test]
async fn socket_activation_with_unknown_socket_fails_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("services.yaml");
    let text = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: { level: info, format: json }\n\
         services: { api: { upstream: 'http://127.0.0.1:9', auth: { type: bearer, token: t0ken } } }\n";
    std::fs::write(&config, text).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(tool("systemd-socket-activate"));
    command.args(["-l", &address.to_string(), env!("CARGO_BIN_EXE_sidekey"), "run", "--config"]).arg(&config);
    let mut process = Process::spawn("systemd-socket-activate", &mut command);
    assert_eventually(TIMEOUT, "it listens", async || process.output().contains("Listening on")).await;
    let _caller = Connection::open(address).await;
    assert_eq!(process.ended(TIMEOUT).await.code(), Some(1));
    let said = format!("the service manager passed a socket for {address}, and");
    assert_eventually(TIMEOUT, "it says why", async || process.output().contains(&said)).await;
}
