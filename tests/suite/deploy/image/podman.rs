//! A private container engine: images, containers, locks and settings are in a temporary folder, so that
//! the machine's containers are neither seen nor touched and nothing is left over.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::tool;

/// The engine. Its containers are removed when this is dropped.
pub struct Podman {
    dir: TempDir,
}

impl Podman {
    pub fn new() -> Self {
        // Not below /tmp, which may be mounted `noexec`.
        let dir = TempDir::with_prefix_in("podman-", env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(dir.path().join("containers.conf"), settings(dir.path())).unwrap();
        Self { dir }
    }

    /// A command in this engine's environment: `podman` with [`Podman::flags`], or a script that calls podman
    /// so.
    pub fn environment(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("CONTAINERS_CONF", self.dir.path().join("containers.conf")).env_remove("STORAGE_DRIVER");
        command
    }

    /// Global flags of podman. The `vfs` driver copies: slow for big images, but it works on every file
    /// system.
    pub fn flags(&self) -> [String; 6] {
        let folder = |name| self.dir.path().join(name).to_str().unwrap().to_owned();
        let (root, run) = (folder("root"), folder("run"));
        ["--root", &root, "--runroot", &run, "--storage-driver", "vfs"].map(str::to_owned)
    }

    /// Runs `podman ARGUMENTS` to its end and returns what it wrote to standard output.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        succeed(self.environment(tool("podman")).args(self.flags()).args(arguments)).0
    }

    /// Like [`run`](Self::run); nothing, if it fails.
    pub fn try_run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Option<String> {
        let output = self.environment(tool("podman")).args(self.flags()).args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Removes what `play kube` made of a manifest, with its volumes: a ConfigMap is one.
    pub fn down(&self, manifest: &str) {
        self.run(["play", "kube", "--down", manifest]);
        self.run(["volume", "rm", "--all", "--force"]);
    }

    /// What a container has written to standard output and standard error.
    pub fn logs(&self, container: &str) -> String {
        let (stdout, stderr) =
            succeed(self.environment(tool("podman")).args(self.flags()).args(["logs", container]));
        stdout + &stderr
    }

    /// One value of `podman inspect`, by its template.
    pub fn inspect(&self, container: &str, template: &str) -> String {
        self.run(["inspect", "--format", template, container]).trim_end().to_owned()
    }

    /// Builds an image of one static program, which is its entry point and keeps its name (busybox needs it).
    pub fn image_of(&self, program: &Path, tag: &str) {
        let name = program.file_name().unwrap().to_str().unwrap();
        self.build(&[(program, name)], &format!("ENTRYPOINT [\"/{name}\"]"), tag);
    }

    /// Builds an image of these programs, each at a path.
    pub fn image_with(&self, programs: &[(&Path, &str)], tag: &str) {
        self.build(programs, "", tag);
    }

    fn build(&self, programs: &[(&Path, &str)], rest: &str, tag: &str) {
        let context = TempDir::new_in(self.dir.path()).unwrap();
        let mut dockerfile = "FROM scratch\n".to_owned();
        for (number, (program, path)) in programs.iter().enumerate() {
            fs::copy(program, context.path().join(number.to_string())).unwrap();
            writeln!(dockerfile, "COPY {number} /{path}").unwrap();
        }
        fs::write(context.path().join("Dockerfile"), dockerfile + rest).unwrap();
        self.run(["build", "--quiet", "--layers=false", "--tag", tag, context.path().to_str().unwrap()]);
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let mut remove = self.environment(tool("podman"));
        let _ = remove.args(self.flags()).args(["rm", "--all", "--force", "--time", "0"]).output();
    }
}

/// Settings that work inside a container too: no systemd, no journal, limits that every machine grants, and
/// runc, because crun needs kernel interfaces that nested containers lack.
fn settings(dir: &Path) -> String {
    format!(
        r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
tmp_dir = "{0}/tmp"
volume_path = "{0}/volumes"
"#,
        dir.display()
    )
}

/// Runs a command to its end; a failure is shown in full.
pub fn succeed(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    (stdout, stderr)
}
