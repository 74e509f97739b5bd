//! A child process that cannot outlive its test, with its output in memory.

use std::io::Read;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;

use super::assert_eventually;

/// Killed when dropped; when its test is failing, the end of its output is printed.
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Process {
    /// Starts it, with standard output and standard error gathered in one place.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null());
        Self::started(name, command)
    }

    /// The same with a standard input that can be written to.
    pub fn spawn_interactive(name: &str, command: &mut Command) -> (Self, ChildStdin) {
        command.stdin(Stdio::piped());
        let mut process = Self::started(name, command);
        let stdin = process.child.stdin.take().unwrap();
        (process, stdin)
    }

    fn started(name: &str, command: &mut Command) -> Self {
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let output = Arc::new(Mutex::new(Vec::new()));
        gather(child.stdout.take().unwrap(), output.clone());
        gather(child.stderr.take().unwrap(), output.clone());
        Self { name: name.to_owned(), child, output }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.lock()).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        assert_eventually(deadline, &what, async || self.exit_status().is_some()).await;
        self.exit_status().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.print_tail();
        }
    }
}

impl Process {
    #[allow(clippy::print_stderr)] // shown by the test runner, for a failed test alone
    fn print_tail(&self) {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        eprintln!("--- the end of what {} wrote:", self.name);
        for line in &lines[lines.len().saturating_sub(60)..] {
            eprintln!("{line}");
        }
    }
}

fn gather(mut pipe: impl Read + Send + 'static, output: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            output.lock().extend_from_slice(&buffer[..length]);
        }
    });
}

/// Runs a command to its end, with `input` on its standard input.
pub async fn run(command: Command, input: &[u8]) -> Output {
    let what = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feed = tokio::spawn(async move { stdin.write_all(&input).await });
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    feed.abort();
    output.unwrap_or_else(|_| panic!("did not end within a minute: {what}")).unwrap()
}
