//! deploy/systemd: the units, and socket activation.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::harness::{
    Connection, MockUpstream, Process, Request, TIMEOUT, assert_eventually, free_port, run, tool,
};

fn unit(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(name)).unwrap()
}

#[tokio::test]
async fn systemd_units_pass_systemd_analyze() {
    // systemd-analyze checks that the program exists too.
    let dir = tempfile::tempdir().unwrap();
    for name in ["sidekey.service", "sidekey.socket"] {
        let text = unit(name).replace("/usr/local/bin/sidekey", env!("CARGO_BIN_EXE_sidekey"));
        std::fs::write(dir.path().join(name), text).unwrap();
    }
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
