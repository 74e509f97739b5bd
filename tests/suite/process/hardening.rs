//! `hardening`: what the process and its commands cannot do, and all that still works.

use std::fs::{Permissions, copy, metadata, read_to_string, set_permissions, write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::geteuid;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    Connection, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Process, Request, Sidekey,
    TIMEOUT, assert_eventually,
};
use crate::suite::reload::setup::{bearer, config};

/// The number of Landlock rule sets that the kernel nests.
const NESTED_RESTRICTIONS: usize = 16;
const ROOT: u32 = 0;
/// A user that nothing belongs to.
const NOBODY: u32 = 65534;

/// The value of a field in `/proc/PID/status`.
fn status(process: u32, field: &str) -> u64 {
    let text = read_to_string(format!("/proc/{process}/status")).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field} in {text}")).trim().parse().unwrap()
}

/// The filters of system calls that the process has more than this one.
fn own_filters(process: u32) -> u64 {
    status(process, "Seccomp_filters") - status(std::process::id(), "Seccomp_filters")
}

fn core_limits(process: u32) -> Vec<String> {
    let text = read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

fn with(hardening: &str, services: &str) -> String {
    format!("hardening: {hardening}\n{}", config(services))
}

/// A service whose token is what a shell script prints.
fn scripted(upstream: &MockUpstream, script: &str) -> String {
    bearer("api", upstream, &format!("{{ exec: [sh, -c, {}] }}", json!(script)))
}

/// What a script prints that Sidekey runs. `$OUT` in it is a folder that Sidekey has nothing to do with.
async fn printed(hardening: &str, script: &str, out: &Path) -> String {
    let (upstream, temporary) = (MockUpstream::plain().await, TempDir::new().unwrap());
    let text = with(hardening, &scripted(&upstream, script)).replace("$OUT", out.to_str().unwrap());
    let builder = Sidekey::configured(&text).env("TMPDIR", temporary.path().to_str().unwrap());
    let sidekey = builder.start().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    upstream.last_request().header("authorization").unwrap().replace("Bearer ", "")
}

#[tokio::test]
async fn hardened_process_shows_it_in_proc_and_in_the_log() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::configured(&config(&bearer("api", &upstream, "t"))).start().await;
    let process = sidekey.process_id();
    assert_eq!(core_limits(process), ["0", "0"]);
    assert_eq!((status(process, "NoNewPrivs"), status(process, "Seccomp")), (1, 2));
    assert_eq!(own_filters(process), 1);
    for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let text = read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(text.contains("NoNewPrivs:\t1") && text.contains("Seccomp:\t2"), "each thread: {text}");
    }
    let event = sidekey.logged("process hardened").await;
    let memory = event["hardening.memory_locked"].as_str().unwrap_or_default();
    assert!(
        ["in force", "not needed", "not in force"].iter().any(|start| memory.starts_with(start)),
        "{event}"
    );
    let parts = ["no_core_dump", "not_traceable", "no_new_privileges", "writes", "system_calls"];
    for part in parts {
        assert_eq!(event[format!("hardening.{part}")], "in force", "{event}");
    }
}

#[tokio::test]
async fn hardening_none_turns_all_of_it_off() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::configured(&with("none", &bearer("api", &upstream, "t"))).start().await;
    let process = sidekey.process_id();
    assert_eq!(core_limits(process), core_limits(std::process::id()));
    assert_eq!(status(process, "NoNewPrivs"), status(std::process::id(), "NoNewPrivs"));
    assert_eq!(own_filters(process), 0);
    sidekey.logged("process not hardened").await;
    let out = TempDir::new().unwrap();
    assert_eq!(printed("none", "echo x > $OUT/file && printf written", out.path()).await, "written");
}

/// Whether memory is locked, by the kernel and by the log, in a process that a shell command starts. Its memory grows in between.
async fn is_locked(launcher: &str) -> (bool, String) {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::ok(vec![b'x'; 8 << 20]));
    let builder = Sidekey::configured(&config(&bearer("api", &upstream, "t"))).launched_by(launcher);
    let sidekey = builder.start().await;
    let bodies = (0..8).map(|_| Request::post(sidekey.url("/api/x"), vec![b'x'; 4 << 20]).send());
    for response in join_all(bodies).await {
        assert_eq!((response.status, response.body.len()), (200, 8 << 20));
    }
    assert!(sidekey.reload().await);
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    let text = read_to_string(format!("/proc/{}/status", sidekey.process_id())).unwrap();
    let size = text.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim();
    let event = sidekey.logged("process hardened").await;
    (size != "0 kB", event["hardening.memory_locked"].as_str().unwrap().to_owned())
}

/// Locked pages are not taken back, so that without swap there is a price and no use. With a limit every allocation beyond it would
/// fail.
#[tokio::test]
async fn memory_is_locked_if_there_is_swap_and_no_limit() {
    let drop = if geteuid().is_root() { "setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock" } else { "" };
    let limited = is_locked(&format!("ulimit -l 64 && exec {drop}")).await;
    let unlimited = is_locked("exec").await;
    if read_to_string("/proc/meminfo").unwrap().contains("SwapTotal:             0 kB") {
        let expected = (false, "not needed, there is no swap".to_owned());
        assert_eq!((limited, unlimited), (expected.clone(), expected));
        return;
    }
    assert!(!limited.0 && limited.1.starts_with("not in force: locked memory is limited"), "{limited:?}");
    assert_eq!(unlimited.0, unlimited.1 == "in force", "{unlimited:?}");
    assert!(unlimited.0 || !has_capability(), "{unlimited:?}");
}

/// Whether the test has CAP_IPC_LOCK, and it counts.
fn has_capability() -> bool {
    let status = read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim().to_owned();
    let namespace = std::fs::read_link("/proc/self/ns/user").unwrap();
    u64::from_str_radix(&set, 16).unwrap() & 1 << 14 != 0 && namespace.to_str() == Some("user:[4026531837]")
}

/// Who owns the files below `/proc` that show the memory of a process which is not root's.
async fn owner_of_environment(hardening: &str) -> (u32, u32) {
    let dir = TempDir::with_prefix("sidekey-test-").unwrap();
    let (file, program) = (dir.path().join("sidekey.yaml"), dir.path().join("sidekey"));
    let text =
        with(hardening, "api: { upstream: 'http://127.0.0.1:9', auth: { type: bearer, token: t0ken } }");
    write(&file, text).unwrap();
    set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    // Another user may not reach the place where it was built.
    copy(env!("CARGO_BIN_EXE_sidekey"), &program).unwrap();
    let mut command = Command::new(&program);
    command.arg("run").arg("--config").arg(&file);
    let user = if geteuid().is_root() { NOBODY } else { geteuid().as_raw() };
    if geteuid().is_root() {
        command.uid(user).gid(user);
    }
    let process = Process::spawn("sidekey", &mut command);
    assert_eventually(TIMEOUT, "it listens", async || process.output().contains("\"listening\"")).await;
    (metadata(format!("/proc/{}/environ", process.id())).unwrap().uid(), user)
}

#[tokio::test]
async fn hardened_process_is_not_traceable_by_its_own_user() {
    assert_eq!(owner_of_environment("full").await.0, ROOT);
    let (owner, user) = owner_of_environment("none").await;
    assert_eq!(owner, user);
}

#[tokio::test]
async fn hardened_command_writes_where_it_may_only() {
    let out = TempDir::new().unwrap();
    write(out.path().join("kept"), "kept").unwrap();
    for attempt in [
        "echo x > $OUT/file",
        "echo x >> $OUT/kept",
        "rm $OUT/kept",
        "mkdir $OUT/d",
        "mv $OUT/kept $OUT/moved",
    ] {
        let script = format!("{{ {attempt}; }} 2>/dev/null && printf done || printf denied");
        assert_eq!(printed("full", &script, out.path()).await, "denied", "{attempt}");
    }
    assert_eq!(read_to_string(out.path().join("kept")).unwrap(), "kept");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);
    let allowed = "{ writable: [$OUT] }";
    assert_eq!(printed(allowed, "echo x > $OUT/file && printf done", out.path()).await, "done");
    assert!(out.path().join("file").exists());
}

#[tokio::test]
async fn hardened_command_makes_no_denied_system_call() {
    let out = TempDir::new().unwrap();
    for call in ["unshare --user true", "unshare --mount true", "mount -t tmpfs none $OUT", "chroot / true"] {
        let script = format!("{call} 2>/dev/null && printf done || printf denied");
        assert_eq!(printed("full", &script, out.path()).await, "denied", "{call}");
    }
}

#[tokio::test]
async fn hardened_command_does_what_ordinary_commands_do() {
    let out = TempDir::new().unwrap();
    write(out.path().join("secret"), "s3cret\n").unwrap();
    // A here-document, a temporary file, a pipe, a process in the background, a signal, a device.
    let script = r#"set -e
file=$(mktemp); cat > "$file" <<END
$(cat $OUT/secret)
END
sleep 60 & kill $!; echo nothing > /dev/null
sort "$file" | tr -d '\n'; rm "$file""#;
    assert_eq!(printed("full", script, out.path()).await, "s3cret");
}

/// A configuration that writes to folders of its own, with an OAuth2 service whose token is kept.
fn writing(upstream: &MockUpstream, endpoint: &MockTokenEndpoint, more: &str) -> String {
    let url = upstream.url();
    format!(
        "upgrade_sock: $DIR/up/upgrade.sock\nstate: {{ dir: $DIR/state, key: 0123456789abcdef0123456789abcdef, access_tokens: true }}\n{}",
        config(&format!(
            "crm: {{ upstream: '{url}', auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: me, \
             client_secret: s3cret }} }}\n\
             own: {{ upstream: '{url}', listen: 'unix:$DIR/sockets/own.sock', auth: {{ type: bearer, token: t }} }}\n{more}",
            endpoint.url()
        ))
    )
}

async fn get_by_socket(path: &Path) -> u16 {
    let mut caller = Connection::open_unix(path).await;
    caller.send("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    caller.response().await.status
}

#[tokio::test]
async fn hardened_process_reloads_writes_state_and_upgrades() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(MockTokenResponse::issue(2));
    endpoint.always(MockTokenResponse::issue(3600));
    let temporary = TempDir::new().unwrap();
    let text = writing(&upstream, &endpoint, "");
    let builder = Sidekey::configured(&text).env("TMPDIR", temporary.path().to_str().unwrap());
    let dir = builder.dir();
    for name in ["up", "sockets", "elsewhere"] {
        std::fs::create_dir(dir.join(name)).unwrap();
        set_permissions(dir.join(name), Permissions::from_mode(0o700)).unwrap();
    }
    let mut sidekey = builder.start_ready().await;
    // The second token replaces the file of the first.
    endpoint.received(2).await;
    let written = async || sidekey.metric("sidekey_state_writes_total", &[("result", "success")]).await;
    assert_eventually(TIMEOUT, "both are written", async || written().await >= Some(2.0)).await;
    assert_eq!(get_by_socket(&dir.join("sockets/own.sock")).await, 200);

    // A socket in a folder that was there before, and one in another folder.
    let own = |path: &str| {
        let more = format!(
            "new: {{ upstream: '{}', listen: 'unix:$DIR/{path}', auth: {{ type: bearer, token: t }} }}\n",
            upstream.url()
        );
        writing(&upstream, &endpoint, &more)
    };
    sidekey.reconfigure(&own("sockets/new.sock"));
    assert!(sidekey.reload().await);
    assert_eq!(get_by_socket(&dir.join("sockets/new.sock")).await, 200);
    sidekey.reconfigure(&own("elsewhere/new.sock"));
    assert!(!sidekey.reload().await);
    assert!(sidekey.log().contains("a folder that is new to the configuration needs a restart"));
    assert_eq!(get_by_socket(&dir.join("sockets/new.sock")).await, 200, "it continues as before");

    // The new process has the addresses of the old one, and its restrictions.
    let admin = sidekey.admin_url("").replace("http://", "");
    let fixed = text.replacen("listen: 127.0.0.1:0", &format!("listen: {}", sidekey.address()), 1);
    sidekey.reconfigure(&fixed.replacen("admin: 127.0.0.1:0", &format!("admin: {admin}"), 1));
    sidekey.signal(Signal::SIGUSR2);
    sidekey.logged("took over from the old process").await;
    assert!(sidekey.ended().await.success());
    let new = sidekey.logged("started a new process to take over").await["process.id"].as_u64().unwrap();
    let new = u32::try_from(new).unwrap();
    assert_eq!((own_filters(new), status(new, "NoNewPrivs")), (2, 1));
    assert_eq!(get_by_socket(&dir.join("sockets/own.sock")).await, 200);
    assert_eq!(sidekey.get("/crm/x").await.status, 200);
    assert_eq!(endpoint.request_count(), 2, "the new process has read the state file");
    let pid = Pid::from_raw(i32::try_from(new).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eventually(TIMEOUT, "the new one ends", async || kill(pid, None).is_err()).await;
}

#[tokio::test]
async fn upgrade_works_beyond_the_limit_of_nested_restrictions() {
    let upstream = MockUpstream::plain().await;
    let config = format!(
        "upgrade_sock: $DIR/upgrade.sock\nshutdown: {{ drain: 0s }}\n{}",
        config(&bearer("api", &upstream, "t"))
    );
    let sidekey = Sidekey::configured(&config).start().await;
    let (listen, admin) = (sidekey.address(), sidekey.admin_url("").replace("http://", ""));
    let fixed = config.replacen("listen: 127.0.0.1:0", &format!("listen: {listen}"), 1);
    sidekey.reconfigure(&fixed.replacen("admin: 127.0.0.1:0", &format!("admin: {admin}"), 1));
    let named = |message: &str| {
        let events = sidekey.events().into_iter().filter(|event| event["message"] == message);
        events.collect::<Vec<_>>()
    };
    let mut newest = i32::try_from(sidekey.process_id()).unwrap();
    for count in 1..=NESTED_RESTRICTIONS {
        kill(Pid::from_raw(newest), Signal::SIGUSR2).unwrap();
        assert_eventually(TIMEOUT, "a new process takes over", async || {
            named("took over from the old process").len() == count
        })
        .await;
        let started = named("started a new process to take over").pop().unwrap();
        newest = i32::try_from(started["process.id"].as_i64().unwrap()).unwrap();
    }
    let writes: Vec<_> =
        named("process hardened").iter().map(|event| event["hardening.writes"].to_string()).collect();
    assert_eq!(writes[NESTED_RESTRICTIONS - 1], "\"in force\"");
    assert_eq!(writes[NESTED_RESTRICTIONS], "\"in force, those of earlier processes\"");
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    kill(Pid::from_raw(newest), Signal::SIGTERM).unwrap();
    assert_eventually(TIMEOUT, "the newest ends", async || kill(Pid::from_raw(newest), None).is_err()).await;
}

#[tokio::test]
async fn reload_of_hardening_needs_a_restart() {
    let upstream = MockUpstream::plain().await;
    let services = bearer("api", &upstream, "t");
    let sidekey = Sidekey::configured(&config(&services)).start().await;
    sidekey.reconfigure(&with("none", &services));
    assert!(sidekey.reload().await);
    assert_eq!(sidekey.logged("changed; takes effect after a restart").await["config.path"], "hardening");
}
