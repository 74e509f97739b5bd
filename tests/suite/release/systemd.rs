//! The unit of the package under a real systemd: socket activation, credentials, reload, upgrade, watchdog.

use std::net::SocketAddr;

use super::packages::{FIRST, SECOND, machine};
use crate::harness::{
    Connection, Load, Machine, MockUpstream, Request, TIMEOUT, assert_eventually, free_port,
};

const CREDENTIALS: &str = "[Service]\nLoadCredential=crm:/etc/sidekey/secrets/crm\n";
/// Short, so that the test need not wait for the one of the unit.
const WATCHDOG: &str = "[Service]\nWatchdogSec=2\n";

/// A booted system with the package, its socket, and a service whose token is a credential of systemd.
struct Installed {
    machine: Machine,
    upstream: MockUpstream,
    proxy: SocketAddr,
    admin: SocketAddr,
}

impl Installed {
    async fn start() -> Self {
        let upstream = MockUpstream::plain().await;
        let [proxy, admin] = [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut installed = Self { machine: machine(), upstream, proxy, admin };
        let machine = &installed.machine;
        machine.run(&["dpkg", "--install", FIRST]);
        machine.write("/etc/sidekey/secrets/crm", "of-systemd\n");
        machine.run(&["chmod", "600", "/etc/sidekey/secrets/crm"]);
        machine.write("/etc/sidekey/services.yaml", installed.configuration(""));
        machine.write("/etc/systemd/system/sidekey.service.d/credentials.conf", CREDENTIALS);
        machine.write("/etc/systemd/system/sidekey.service.d/watchdog.conf", WATCHDOG);
        let sockets = format!("[Socket]\nListenStream=\nListenStream={proxy}\nListenStream={admin}\n");
        machine.write("/etc/systemd/system/sidekey.socket.d/addresses.conf", sockets);
        installed.machine.boot().await;
        installed.machine.run(&["systemctl", "start", "sidekey.socket"]);
        installed
    }

    fn configuration(&self, more: &str) -> String {
        format!(
            "listen: {}\nadmin: {}\nupgrade_sock: /run/sidekey/upgrade.sock\nreload: {{ interval: 0s }}\nservices:\n\
             {more}  crm: {{ upstream: '{}', auth: {{ type: bearer, token: {{ file: \"${{CREDENTIALS_DIRECTORY}}/crm\" }} }} }}\n",
            self.proxy,
            self.admin,
            self.upstream.url(),
        )
    }

    async fn status(&self, path: &str) -> u16 {
        Request::get(format!("http://{}{path}", self.proxy)).send().await.status
    }

    /// The main process, as systemd sees it.
    fn main_process(&self) -> String {
        self.property("MainPID")
    }

    fn property(&self, name: &str) -> String {
        self.machine
            .run(&["systemctl", "show", "--value", "--property", name, "sidekey.service"])
            .trim_end()
            .to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packaged_unit_works_under_a_real_systemd() {
    let installed = Installed::start().await;
    let machine = &installed.machine;

    // The first request starts the service, and waits for it.
    assert_eq!(installed.property("ActiveState"), "inactive");
    assert_eq!(installed.status("/crm/x").await, 200, "{}", machine.journal("sidekey.service"));
    let sent = installed.upstream.last_request();
    assert_eq!(sent.header("authorization"), Some("Bearer of-systemd"));
    assert_eq!(installed.property("User"), "sidekey");
    let owner = machine.run(&["stat", "--format=%U", &format!("/proc/{}", installed.main_process())]);
    assert_eq!(owner, "sidekey\n", "it is not root");
    let score =
        machine.run(&["systemd-analyze", "security", "--no-pager", "--threshold=15", "sidekey.service"]);
    assert!(score.contains("Overall exposure level"), "{score}");

    // A reload: the process stays.
    let first = installed.main_process();
    let hr =
        format!("  hr: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}\n", installed.upstream.url());
    let more = installed.configuration(&hr);
    machine.run(&["sh", "-c", "printf %s \"$1\" >/etc/sidekey/services.yaml", "sh", &more]);
    machine.run(&["systemctl", "reload", "sidekey.service"]);
    let serves = async || installed.status("/hr/x").await == 200;
    assert_eventually(TIMEOUT, "the new service is served", serves).await;
    assert_eq!(installed.property("StatusText"), "the configuration on disk is in use");
    assert_eq!(installed.main_process(), first);

    // An upgrade of the package, under load: another process, and no request that fails.
    let load = Load::start(installed.proxy, &["/crm/a", "/hr/b", "/crm/c"]);
    load.answers(50).await;
    machine.run(&["dpkg", "--install", "--force-confold", SECOND]);
    let is_other = async || installed.main_process() != first;
    assert_eventually(TIMEOUT, "another process is the main one", is_other).await;
    load.answers(100).await;
    let outcome = load.stop().await;
    assert_eq!(outcome.failures, Vec::<String>::new(), "of {}", outcome.answered);
    let journal = machine.journal("sidekey.service");
    assert!(journal.contains("took over from the old process"), "{journal}");

    // A restart, with the sockets of systemd: callers wait.
    machine.run(&["systemctl", "restart", "sidekey.service"]);
    assert_eq!(installed.status("/crm/x").await, 200);

    // A process that is stuck is started again by the watchdog; one that works is left alone for longer than the limit.
    let stuck = installed.main_process();
    machine.run(&["sleep", "3"]);
    assert_eq!(installed.main_process(), stuck, "{}", machine.journal("sidekey.service"));
    machine.run(&["kill", "-STOP", &stuck]);
    let is_restarted = async || !["0", stuck.as_str()].contains(&installed.main_process().as_str());
    assert_eventually(TIMEOUT, "the watchdog ends a process that is stuck", is_restarted).await;
    assert_eq!(installed.status("/crm/x").await, 200);
    assert_eq!(installed.property("NRestarts"), "1");

    // A removal stops it.
    machine.run(&["dpkg", "--remove", "sidekey"]);
    assert!(Connection::try_open(installed.admin).await.is_err());
}
