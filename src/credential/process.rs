//! Runs a command, bounded in time and in output.

use std::io;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

use crate::secret::read_to_end;

/// Largest output, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The number of the signal that ends a process that did not end in time.
const SIGKILL: i32 = Signal::KILL.as_raw();
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
    /// It did not end in time.
    #[error("the command did not end within {0:?} and was killed")]
    Timeout(Duration),
    /// It ended, and a process that it had started did not.
    #[error(
        "the command ended, but a process that it started had the standard output open for {0:?}: start that process with \
         another one (`>/dev/null`)"
    )]
    OutputOpen(Duration),
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
    let stdout = running.child.stdout.take().expect("standard output is piped");
    let output = match read_to_end(&mut Output { stdout, deadline }, 0, MAX_BYTES) {
        Ok(output) => output.ok_or(ProcessError::TooLarge)?,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let was_killed = running.kill().map_err(ProcessError::Start)?.signal() == Some(SIGKILL);
            let timed_out = if was_killed { ProcessError::Timeout } else { ProcessError::OutputOpen };
            return Err(timed_out(timeout));
        }
        Err(error) => return Err(ProcessError::Start(error)),
    };
    loop {
        if let Some(status) = running.child.try_wait().map_err(ProcessError::Start)? {
            running.ended = true;
            return if status.success() { Ok(output) } else { Err(ProcessError::Failed(status)) };
        }
        if Instant::now() >= deadline {
            return Err(ProcessError::Timeout(timeout));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The standard output of a command, until a moment. A process in another group may have it open after the command was killed.
struct Output {
    stdout: ChildStdout,
    deadline: Instant,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.stdout, PollFlags::IN)], Some(&left))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => self.stdout.read(buffer),
        }
    }
}

/// A running command. Dropping it kills its process group and waits for it, unless it has ended.
struct Running {
    child: Child,
    ended: bool,
}

impl Running {
    /// Kills its process group and waits for it.
    fn kill(&mut self) -> io::Result<ExitStatus> {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let status = self.child.wait()?;
        self.ended = true;
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.kill();
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

    #[test]
    fn command_whose_child_keeps_the_output_open_leaves_nothing_behind() {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = (threads(), open());
        // In a session of its own, so that it is not killed with the group.
        let script = "setsid sleep 60 & echo secret";
        let ended = output("sh", &["-c".into(), script.into()], &[], Duration::from_secs(3));
        let error = ended.unwrap_err();
        assert!(matches!(error, ProcessError::OutputOpen(_)), "{error}");
        // Other tests of this process may have threads and files for a moment.
        let end = Instant::now() + Duration::from_secs(20);
        while threads() > before.0 || open() > before.1 {
            assert!(Instant::now() < end, "{:?}, before: {before:?}", (threads(), open()));
            thread::sleep(POLL_INTERVAL);
        }
    }
}
