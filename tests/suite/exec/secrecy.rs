//! The command cannot read what Sidekey holds, although it runs as the same user, and it is not restricted itself.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::setup::{SECRET, Stage, printed, text};
use crate::harness::run;

/// A user without privileges.
const NOBODY: u32 = 65534;

/// Runs a command as a user without privileges: root may read the memory of every process.
async fn run_unprivileged(stage: &Stage, command: &[&str]) -> Output {
    // The user can reach neither the build nor the configuration where they are.
    let dir = tempfile::TempDir::with_prefix("sidekey-test-").unwrap();
    let (program, config) = (dir.path().join("sidekey"), dir.path().join("sidekey.yaml"));
    std::fs::copy(env!("CARGO_BIN_EXE_sidekey"), &program).unwrap();
    std::fs::copy(stage.pki.ca_file(), dir.path().join("ca.pem")).unwrap();
    let ca = dir.path().join("ca.pem").display().to_string();
    let text = std::fs::read_to_string(stage.config()).unwrap().replace(&stage.pki.ca_file(), &ca);
    std::fs::write(&config, text).unwrap();
    set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut command_line = Command::new(&program);
    command_line.arg("exec").arg("--config").arg(&config).arg("--").args(command);
    command_line.env_clear().env("API_TOKEN", SECRET).env("PATH", std::env::var_os("PATH").unwrap());
    command_line.current_dir("/");
    if rustix::process::geteuid().is_root() {
        for file in [dir.path(), &config, Path::new(&ca)] {
            chown(file, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command_line.uid(NOBODY).gid(NOBODY);
    }
    run(command_line, b"").await
}

#[tokio::test]
async fn command_cannot_read_environment_and_memory_of_sidekey() {
    for hardening in ["full", "none"] {
        let stage = Stage::with(&format!("hardening: {hardening}")).await;
        let shell = "test $(id -u) != 0 || echo root
grep -c . /proc/$$/environ > /dev/null || echo own environment is not readable
for file in environ mem maps auxv; do
  head -c 1 /proc/$PPID/$file > /dev/null 2>&1 && echo readable: $file
done
ls /proc/$PPID/fd > /dev/null 2>&1 && echo readable: fd
grep -l CANARY /proc/[0-9]*/environ 2> /dev/null
cat /proc/$PPID/comm";
        let output = run_unprivileged(&stage, &["sh", "-c", shell]).await;
        assert_eq!(printed(&output), "sidekey\n", "{hardening}");
    }
}

#[tokio::test]
async fn command_is_not_restricted_as_sidekey_is() {
    let stage = Stage::new().await;
    let file = format!("{}/written", std::env::current_dir().unwrap().join("target").display());
    let _ = std::fs::remove_file(&file);
    let shell = format!("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; echo x > {file}; ulimit -c");
    let own = Command::new("sh").arg("-c").arg(&shell).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(printed(&stage.run(&[], &["sh", "-c", &shell]).await), text(&own.stdout));
    // Outside of the temporary files, where Sidekey itself cannot write.
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x\n");
    std::fs::remove_file(&file).unwrap();
}
