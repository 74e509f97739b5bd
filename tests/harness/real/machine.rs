//! A machine of its own: systemd as the first process, in a container over a copy of this system.
//!
//! The copy is an overlay: everything that this machine has installed is there, and what is written goes into a temporary folder. The
//! network is that of this machine. It needs root, as a container with a systemd does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use super::tool;
use crate::harness::{Process, assert_eventually};

/// What is started: the units that every system has, and no service of this machine.
const TARGET: &str = "[Unit]\nRequires=basic.target\nAfter=basic.target\n";

/// How long a system may take to start: seconds, on a machine that has nothing else to do.
const BOOT_TIMEOUT: Duration = Duration::from_secs(90);

/// Where the control groups of containers are: in version 2, or in both hierarchies of a system with version 1.
const CGROUPS: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];

/// Runs a command in a control group of its own. Without one, all containers would share one, and each systemd would end what is
/// not its own.
const IN_CGROUP: &str = r#"name=$1; shift
for folder in $CGROUPS; do
  [ ! -e "$folder/cgroup.procs" ] || { mkdir -p "$folder/$name" && echo $$ >"$folder/$name/cgroup.procs"; }
done
exec "$@""#;

/// A system that can be changed at will. It is gone when this is dropped.
pub struct Machine {
    dir: TempDir,
    container: Option<Process>,
}

impl Machine {
    /// The system, without a process in it.
    pub fn new() -> Self {
        let dir = TempDir::with_prefix_in("machine-", env!("CARGO_TARGET_TMPDIR")).unwrap();
        for folder in ["root", "changes", "work"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let path = |name| dir.path().join(name).display().to_string();
        let options = format!("lowerdir=/,upperdir={},workdir={}", path("changes"), path("work"));
        let mut mount = Command::new(tool("mount"));
        mount.args(["-t", "overlay", "-o", &options, "overlay", &path("root")]);
        let mounted = mount.output().unwrap();
        assert!(mounted.status.success(), "needs root: {}", String::from_utf8_lossy(&mounted.stderr));
        let machine = Self { dir, container: None };
        machine.write("/etc/systemd/system/test.target", TARGET);
        // Which services start is what the tests are about, whatever this machine says.
        let _ = fs::remove_file(machine.path("/usr/sbin/policy-rc.d"));
        machine
    }

    /// Where a file of the system is on this machine, while it is not booted.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("root").join(file.trim_start_matches('/'))
    }

    /// Writes a file of the system, and the folders above it.
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Starts systemd, and waits until the system is up.
    pub async fn boot(&mut self) {
        let mut nspawn = self.nspawn();
        nspawn.args(["--boot", "--", "--unit=test.target"]);
        self.container = Some(Process::spawn("systemd-nspawn", &mut nspawn));
        let is_there = async || self.first_process().is_some();
        assert_eventually(BOOT_TIMEOUT, "the container has a process", is_there).await;
        // Degraded: a unit of this machine has failed, which is none of ours.
        let is_up = async || {
            let state = self.output(&["systemctl", "is-system-running"]).stdout;
            state == b"running\n" || state == b"degraded\n"
        };
        assert_eventually(BOOT_TIMEOUT, "the system is running", is_up).await;
    }

    /// Runs a command in the system to its end, and returns what it printed. It must succeed.
    pub fn run(&self, command: &[&str]) -> String {
        let output = self.output(command);
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{command:?}: {}\n{}{}", output.status, text[0], text[1]);
        text[0].clone()
    }

    /// Runs a command in the system to its end.
    pub fn output(&self, command: &[&str]) -> Output {
        let Some(id) = self.first_process() else {
            // A second container on the same files would keep the first one from starting.
            assert!(self.container.is_none(), "the system has ended");
            return self.nspawn().args(["--pipe", "--as-pid2", "--"]).args(command).output().unwrap();
        };
        let mut enter = Command::new(tool("nsenter"));
        enter.args(["--target", &id, "--mount", "--uts", "--ipc", "--pid", "--cgroup"]).args(command);
        enter.output().unwrap()
    }

    /// The log of a unit.
    pub fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--no-pager", "--output=cat", "--unit", unit])
    }

    fn nspawn(&self) -> Command {
        let mut command = Command::new(tool("sh"));
        command.args(["-c", IN_CGROUP, "sh", &self.cgroup()]).arg(tool("systemd-nspawn"));
        command.env("CGROUPS", CGROUPS.join(" "));
        command.args(["--quiet", "--register=no", "--keep-unit", "--link-journal=no"]);
        command.arg("--directory").arg(self.dir.path().join("root"));
        command
    }

    /// The name of the control group.
    fn cgroup(&self) -> String {
        format!("sidekey-{}", self.dir.path().file_name().unwrap().to_str().unwrap())
    }

    /// The container's first process: the child of what was started here that is process 1 of its own namespace. What is started has
    /// other children before it (`mkdir`, and the process of systemd-nspawn that prepares the container).
    fn first_process(&self) -> Option<String> {
        let id = self.container.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().find(|child| is_first_of_its_namespace(child)).map(str::to_owned)
    }
}

/// Whether a process has another id here and is process 1 of the innermost namespace that it is in (proc_pid_status(5), `NSpid`).
fn is_first_of_its_namespace(id: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_whitespace().skip(1).last() == Some("1")
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The kernel ends everything in the container with its first process.
        if let Some(id) = self.first_process() {
            let _ = Command::new(tool("kill")).args(["-KILL", &id]).output();
        }
        drop(self.container.take());
        for folder in CGROUPS {
            remove_empty(&Path::new(folder).join(self.cgroup()));
        }
        let _ = Command::new(tool("umount")).arg("--lazy").arg(self.dir.path().join("root")).output();
    }
}

/// Removes a tree of empty folders.
fn remove_empty(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.path().is_dir()) {
        remove_empty(&entry.path());
    }
    let _ = fs::remove_dir(folder);
}
