//! Runs a command, bounded in time and in output.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

use crate::secret::read_to_end;

/// Largest output, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Time between two checks whether a command has ended after it closed its output.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Why a command has no output. The text contains nothing of the output.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessError {
    /// The program does not exist or cannot be executed.
    #[error("the command cannot be started: {}", plain(.0))]
    Start(io::Error),
    /// It ended with an exit code other than 0, or by a signal.
    #[error("the command {} (its standard error is not shown because it may contain a secret)", describe(*.0))]
    Failed(ExitStatus),
    /// It did not end or close its output in time.
    #[error("the command did not end within {0:?} and was killed")]
    Timeout(Duration),
    /// The output is too large.
    #[error("the command wrote more than 64 KiB")]
    TooLarge,
}

/// Runs a program to its end and returns its standard output. Blocks.
///
/// `environment` is added to the variables of this process. It has no standard input. Its standard error is discarded. It has its own process group, which is killed as a
/// whole after the timeout.
pub(super) fn output(
    program: &str,
    arguments: &[String],
    environment: &[(&'static str, String)],
    timeout: Duration,
) -> Result<Zeroizing<Vec<u8>>, ProcessError> {
    if cfg!(fuzzing) {
        // A fuzzer must not run the commands that it makes up.
        return Err(ProcessError::Start(io::ErrorKind::Unsupported.into()));
    }
    let deadline = Instant::now() + timeout;
    let child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut running = Running { child: child.map_err(ProcessError::Start)?, ended: false };
    let stdout = running.child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    // The thread ends with the command: its group is killed after the timeout, and no other process has the pipe.
    thread::spawn(move || {
        let mut stdout = stdout.expect("standard output is piped");
        let _ = sender.send(read_to_end(&mut stdout, 0, MAX_BYTES));
    });
    let left = || deadline.saturating_duration_since(Instant::now());
    let output = match receiver.recv_timeout(left()) {
        Ok(read) => read.map_err(ProcessError::Start)?.ok_or(ProcessError::TooLarge)?,
        Err(_) => return Err(ProcessError::Timeout(timeout)),
    };
    loop {
        if let Some(status) = running.child.try_wait().map_err(ProcessError::Start)? {
            running.ended = true;
            return if status.success() { Ok(output) } else { Err(ProcessError::Failed(status)) };
        }
        if left().is_zero() {
            return Err(ProcessError::Timeout(timeout));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// A running command. Dropping it kills its process group and waits for it, unless it has ended.
struct Running {
    child: Child,
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".into(),
    }
}

/// The text of an I/O error without `(os error 2)`.
fn plain(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn hanging_command_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!("sleep 1000 & echo $! $$ > {}; wait", pids.display());
        // Long enough to write the file on a busy machine.
        let ended = output("sh", &["-c".into(), script], &[], Duration::from_secs(3));
        assert!(matches!(ended, Err(ProcessError::Timeout(_))));
        let pids = std::fs::read_to_string(pids).unwrap();
        let state = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let own = pids.split_whitespace().last().unwrap();
        assert_eq!(state(own), "", "no zombie of ours");
        // Init reaps the child after its parent has ended.
        let sleeping = pids.split_whitespace().next().unwrap();
        let alive = || {
            !matches!(
                state(sleeping).rsplit(") ").next().and_then(|rest| rest.chars().next()),
                None | Some('Z' | 'X')
            )
        };
        let end = Instant::now() + Duration::from_secs(20);
        while alive() {
            assert!(Instant::now() < end, "still there: {}", state(sleeping));
            thread::sleep(POLL_INTERVAL);
        }
    }
}
