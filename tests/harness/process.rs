//! A child process that cannot outlive its test, with its output in memory.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;

use super::assert_eventually;

/// The process. It is killed when dropped; if its test fails, the end of its output is printed.
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<Captured>>,
}

impl Process {
    /// Starts a command and captures its standard output and standard error together.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null());
        Self::started(name, command)
    }

    /// Like [`spawn`](Self::spawn), with a standard input that can be written to.
    pub fn spawn_interactive(name: &str, command: &mut Command) -> (Self, ChildStdin) {
        command.stdin(Stdio::piped());
        let mut process = Self::started(name, command);
        let stdin = process.child.stdin.take().unwrap();
        (process, stdin)
    }

    fn started(name: &str, command: &mut Command) -> Self {
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let output = Captured::of([child.stdout.take().unwrap().into(), child.stderr.take().unwrap().into()]);
        Self { name: name.to_owned(), child, output }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything the process has written before this call.
    pub fn output(&self) -> String {
        let mut output = self.output.lock();
        output.read_available();
        String::from_utf8_lossy(&output.bytes).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// The exit status, if the process has ended.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until the process ends.
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

/// The output of a process: what was read so far, and the pipes that are still open.
///
/// Threads read the pipes so that the process never waits for one. [`Process::output`] reads them as well:
/// otherwise a test could look at the log before a thread has read what the program wrote just before its
/// response.
struct Captured {
    bytes: Vec<u8>,
    pipes: [Option<File>; 2],
}

impl Captured {
    fn of(pipes: [OwnedFd; 2]) -> Arc<Mutex<Self>> {
        let watched = pipes.each_ref().map(|pipe| pipe.try_clone().unwrap());
        let pipes = pipes.map(|pipe| Some(File::from(pipe)));
        let captured = Arc::new(Mutex::new(Self { bytes: Vec::new(), pipes }));
        for (index, pipe) in watched.into_iter().enumerate() {
            let captured = captured.clone();
            thread::spawn(move || {
                loop {
                    is_readable(&pipe, PollTimeout::NONE);
                    let mut captured = captured.lock();
                    captured.read_available();
                    if captured.pipes[index].is_none() {
                        return;
                    }
                }
            });
        }
        captured
    }

    /// Reads what the pipes contain, without waiting.
    fn read_available(&mut self) {
        let mut buffer = [0; 8192];
        for slot in &mut self.pipes {
            while let Some(pipe) = slot.as_mut().filter(|pipe| is_readable(pipe, PollTimeout::ZERO)) {
                match pipe.read(&mut buffer) {
                    Ok(length @ 1..) => self.bytes.extend_from_slice(&buffer[..length]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => (),
                    _ => *slot = None,
                }
            }
        }
    }
}

/// Whether a pipe has bytes or is at its end.
fn is_readable(pipe: &impl AsFd, timeout: PollTimeout) -> bool {
    poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout).is_ok_and(|ready| ready > 0)
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
