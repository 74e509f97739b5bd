//! Start and end of the process: exit codes, signals, and requests in flight.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{
    Connection, Gate, MockResponse, MockUpstream, Process, Request, Sidekey, TIMEOUT, assert_eventually,
};

/// A Sidekey with one service and further configuration.
fn serving(upstream: &MockUpstream, more: &str) -> crate::harness::SidekeyBuilder {
    let service = format!("api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    Sidekey::configured(&format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlog: {{ format: json }}\n{more}\nservices: {{ {service} }}\n"
    ))
}

#[tokio::test]
async fn usage_error_exits_64_and_help_exits_0() {
    for arguments in [&["run", "--nonsense"][..], &["nonsense"], &[], &["demo", "--listen", "here"]] {
        let output = Sidekey::command(arguments, &[]).await;
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
    for arguments in [["--help"], ["--version"]] {
        let output = Sidekey::command(&arguments, &[]).await;
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[tokio::test]
async fn invalid_config_exits_78_with_every_mistake() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "listen: '{}'\nservices:\n  a: {{ upstrem: x }}\n  b: {{ upstream: 'ftp://x', auth: {{ type: bearer, token: t }} }}\n",
        taken.local_addr().unwrap()
    );
    let (code, output) = Sidekey::configured(&config).expect_start_failure().await;
    assert_eq!(code, 78, "the configuration is checked first: {output}");
    assert!(output.contains("upstrem") && output.contains("services.b.upstream"), "{output}");
    assert!(!output.contains("listening"));
    let output = Sidekey::command(&["run", "--config", "/nonexistent/services.yaml"], &[]).await;
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/services.yaml"));
}

#[tokio::test]
async fn address_in_use_exits_1_and_names_it_at_any_log_level() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (listen, admin, own) in
        [(Some(address), None, None), (None, Some(address), None), (None, None, Some(address))]
    {
        for level in ["info", "off"] {
            let port = |address: Option<_>| {
                address.map_or("127.0.0.1:0".into(), |a: std::net::SocketAddr| a.to_string())
            };
            let config = format!(
                "listen: '{}'\nadmin: '{}'\nlog: {{ level: {level} }}\nservices: {{ api: {{ upstream: 'https://x', \
                 listen: '{}', auth: {{ type: bearer, token: t }} }} }}\n",
                port(listen),
                port(admin),
                port(own)
            );
            let (code, output) = Sidekey::configured(&config).expect_start_failure().await;
            assert_eq!(code, 1, "{output}");
            assert!(output.contains(&format!("cannot listen on {address}")), "{output}");
        }
    }
}

#[tokio::test]
async fn signal_drains_requests_and_stops_accepting() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let upstream = MockUpstream::plain().await;
        let gate = Gate::closed();
        upstream.next(MockResponse::ok("the whole answer").body_held_at(4, &gate));
        let mut sidekey = serving(&upstream, "shutdown: { drain: 30s }").start().await;
        let mut idle = Connection::open(sidekey.address()).await;
        idle.send("GET /api/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        upstream.received(1).await;
        sidekey.signal(signal);
        let refused = async || Connection::try_open(sidekey.address()).await.is_err();
        assert_eventually(TIMEOUT, "no new connection is accepted", refused).await;
        gate.open();
        let response = idle.response().await;
        assert_eq!(
            (response.status, response.text().as_str(), response.complete),
            (200, "the whole answer", true)
        );
        assert_eq!(sidekey.ended().await.code(), Some(0));
        sidekey.logged("stopped").await;
    }
}

#[tokio::test]
async fn drain_timeout_cuts_request_and_exits_0() {
    let upstream = MockUpstream::plain().await;
    upstream.next(MockResponse::never());
    let mut sidekey = serving(&upstream, "shutdown: { drain: 100ms }").start().await;
    let call = tokio::spawn(Request::get(sidekey.url("/api/")).try_send());
    upstream.received(1).await;
    assert_eq!(sidekey.terminate().await.code(), Some(0));
    assert!(call.await.unwrap().is_err(), "cut, without a partial response");
    let cut = sidekey.events().into_iter().any(|event| event["requests.aborted"] == 1);
    assert!(cut, "the log has the number of cut requests");
}

#[tokio::test]
async fn second_signal_ends_the_drain() {
    let upstream = MockUpstream::plain().await;
    upstream.next(MockResponse::never());
    let mut sidekey = serving(&upstream, "shutdown: { drain: 10m }").start().await;
    let call = tokio::spawn(Request::get(sidekey.url("/api/")).try_send());
    upstream.received(1).await;
    sidekey.signal(Signal::SIGTERM);
    sidekey.logged("draining").await;
    assert_eq!(sidekey.terminate().await.code(), Some(0));
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn signal_right_after_start_stops_every_worker() {
    let upstream = MockUpstream::plain().await;
    for _ in 0..5 {
        let mut sidekey = serving(&upstream, "threads: 64").start().await;
        assert_eq!(sidekey.terminate().await.code(), Some(0));
    }
}

#[tokio::test]
async fn stale_unix_socket_is_replaced() {
    let upstream = MockUpstream::plain().await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let config = format!(
        "listen: [ '127.0.0.1:0', 'unix:{}' ]\nadmin: 127.0.0.1:0\nlog: {{ format: json }}\nservices: {{ api: {{ \
         upstream: '{}', auth: {{ type: bearer, token: t }} }} }}\n",
        socket.display(),
        upstream.url()
    );
    let mut first = Sidekey::configured(&config).start().await;
    let (code, output) = Sidekey::configured(&config).expect_start_failure().await;
    assert_eq!(code, 1, "a running process keeps it: {output}");
    first.signal(Signal::SIGKILL);
    first.ended().await;
    let _second = Sidekey::configured(&config).start().await;
    let mut connection = Connection::open_unix(&socket).await;
    connection.send("GET /api/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(connection.response().await.status, 200);
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o002, 0, "not every user of the machine may use the credentials: {mode:o}");
}

#[tokio::test]
async fn demo_commands_work_as_printed() {
    let mut demos: Vec<_> = (0..2)
        .map(|_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
            Process::spawn("demo", command.args(["demo"]).env_remove("RUST_LOG"))
        })
        .collect();
    for demo in &demos {
        assert_eventually(TIMEOUT, "it prints what to try", async || {
            demo.output().contains("Press Ctrl-C to stop")
        })
        .await;
        let text = demo.output();
        assert!(text.starts_with("Sidekey is running on "), "nothing else is printed: {text}");
        let lines: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("curl ")).collect();
        assert_eq!(lines.len(), 9, "{text}");
        let mut answers = String::new();
        for line in lines {
            let (call, shown) = line.split_once('#').unwrap_or((line, ""));
            let arguments: Vec<_> = call
                .split('\'')
                .enumerate()
                .flat_map(|(n, part)| match n % 2 {
                    0 => part.split_whitespace().collect(),
                    _ => vec![part],
                })
                .collect();
            let answer = crate::harness::Curl::call(&arguments, b"").await;
            assert_eq!(answer.status, 200, "{line}: {}", answer.text());
            let word = shown.trim().split(['…', '?']).find(|word| !word.is_empty()).unwrap_or_default();
            let word = word.split(": ").last().unwrap();
            assert!(answer.text().contains(word), "{line} shows {word:?}: {}", answer.text());
            answers += &answer.text();
        }
        for secret in ["correct-horse", "0123456789", "Bearer mine", "demo-client-secret"] {
            assert!(!answers.contains(secret), "{secret} is shown in full");
        }
    }
    for demo in &mut demos {
        demo.signal(Signal::SIGINT);
        assert_eq!(demo.ended(Duration::from_secs(20)).await.code(), Some(0));
    }
}
