//! System calls of a process, counted by `perf` (package `linux-perf`, needs root and tracefs).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::account;

/// Counts the system calls of a process, its children's included, while `work` runs.
pub fn count(process: u32, dir: &Path, work: impl FnOnce() -> anyhow::Result<f64>) -> anyhow::Result<u64> {
    let file = dir.join("perf-stat");
    let family: Vec<_> = account::family(process)?.iter().map(u32::to_string).collect();
    let mut perf = Command::new("perf")
        .args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o"])
        .arg(&file)
        .args(["-p", &family.join(",")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run perf (Debian: apt-get install linux-perf)")?;
    // It says nothing when it has begun.
    std::thread::sleep(Duration::from_millis(200));
    let outcome = work();
    kill(Pid::from_raw(perf.id().cast_signed()), Signal::SIGINT)?;
    wait(&mut perf)?;
    outcome?;
    let text = std::fs::read_to_string(&file)?;
    let line = text.lines().find(|line| line.contains("sys_enter"));
    let count = line.and_then(|line| line.split(',').next()?.parse().ok());
    count.with_context(|| format!("perf counted nothing (is tracefs mounted?):\n{text}"))
}

fn wait(perf: &mut Child) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while perf.try_wait()?.is_none() {
        ensure!(Instant::now() < deadline, "perf does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
