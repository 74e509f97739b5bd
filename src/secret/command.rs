//! `exec`: a secret that a command prints, such as the client of a vault.
//!
//! No shell. The command has a process group of its own, which is ended as a whole when its time is up. What it writes to
//! standard error is thrown away: it may hold the secret.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process_group};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::source::without_newline;
use super::{InvalidSecret, Secret};

/// No secret is larger than this.
const MAX_BYTES: u64 = 64 * 1024;
/// How often a command that has closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// A command, and how its answer is read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Command {
    /// The program.
    pub program: String,
    /// What it is given.
    pub arguments: Vec<String>,
    /// It is ended after this long.
    pub timeout: Duration,
    /// It is run again after this long at most.
    pub refresh_interval: Duration,
    /// The answer is `{"value": …, "expires_at": …}` and not the bare secret.
    pub json: bool,
}

/// Without the arguments, one of which may be a password.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exec {}", self.program)
    }
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct CommandOutput {
    /// The secret.
    pub secret: Secret,
    /// When it expires, where the command knows.
    pub expires_at: Option<SystemTime>,
}

/// Why there is no secret. Says where and why, never what.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No such program, or not one that may be run.
    #[error("the command cannot be started: {}", plain(.0))]
    Start(io::Error),
    /// It ended with another exit code than 0, or by a signal.
    #[error("the command {} (what it wrote to standard error is not shown, it may hold a secret)", ended(*.0))]
    Failed(ExitStatus),
    /// It had not ended, or still held its output open.
    #[error("the command had not ended after {0:?} and was killed")]
    Timeout(Duration),
    /// More than any secret.
    #[error("the command wrote more than 64 KiB")]
    TooLarge,
    /// Not UTF-8.
    #[error("the command wrote something that is not UTF-8 text")]
    NotText,
    /// With `format: json`.
    #[error("the command did not write JSON of the form {{\"value\": \"…\", \"expires_at\": …}}")]
    NotJson,
    /// With `format: json`.
    #[error("the command gave an `expires_at` that is neither an RFC 3339 time nor a Unix time in seconds")]
    ExpiresAt,
    /// With `format: json`.
    #[error("the command gave a secret that has expired already")]
    Expired,
    /// What it wrote cannot be a secret.
    #[error("what the command wrote is no secret: {0}")]
    Invalid(#[from] InvalidSecret),
}

impl Command {
    /// Runs it to its end. Blocks.
    pub fn run(&self) -> Result<CommandOutput, CommandError> {
        let output = self.output()?;
        let text = std::str::from_utf8(&output).map_err(|_| CommandError::NotText)?;
        if !self.json {
            let secret = Secret::new(without_newline(text.to_owned()).to_string())?;
            return Ok(CommandOutput { secret, expires_at: None });
        }
        let answer: Json = serde_json::from_str(text).map_err(|_| CommandError::NotJson)?;
        let secret = Secret::new(answer.value)?;
        let expires_at = answer.expires_at.as_ref().map(moment).transpose()?;
        if expires_at.is_some_and(|at| at <= SystemTime::now()) {
            return Err(CommandError::Expired);
        }
        Ok(CommandOutput { secret, expires_at })
    }

    fn output(&self) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let deadline = Instant::now() + self.timeout;
        let child = std::process::Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut running = Running { child: child.map_err(CommandError::Start)?, ended: false };
        let stdout = running.child.stdout.take();
        let (sender, receiver) = mpsc::channel();
        // Ends with the command: its group is killed when the time is up, and nobody else holds the pipe.
        thread::spawn(move || {
            let mut output = Zeroizing::new(Vec::new());
            let read = stdout.map(|stdout| stdout.take(MAX_BYTES + 1).read_to_end(&mut output));
            let _ = sender.send(read.transpose().map(|_| output));
        });
        let left = || deadline.saturating_duration_since(Instant::now());
        let output = match receiver.recv_timeout(left()) {
            Ok(read) => read.map_err(CommandError::Start)?,
            Err(_) => return Err(CommandError::Timeout(self.timeout)),
        };
        if output.len() as u64 > MAX_BYTES {
            return Err(CommandError::TooLarge);
        }
        loop {
            if let Some(status) = running.child.try_wait().map_err(CommandError::Start)? {
                running.ended = true;
                return if status.success() { Ok(output) } else { Err(CommandError::Failed(status)) };
            }
            if left().is_zero() {
                return Err(CommandError::Timeout(self.timeout));
            }
            thread::sleep(POLL);
        }
    }
}

/// A command that is killed with its group, and waited for, unless it has ended.
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

#[derive(serde::Deserialize)]
struct Json {
    value: String,
    expires_at: Option<serde_json::Value>,
}

fn moment(value: &serde_json::Value) -> Result<SystemTime, CommandError> {
    let seconds = match value {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .and_then(|time| u64::try_from(time.unix_timestamp()).ok()),
        _ => None,
    };
    let seconds = seconds.ok_or(CommandError::ExpiresAt)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(CommandError::ExpiresAt)
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end well".into(),
    }
}

/// In words alone, without `(os error 2)`.
fn plain(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shell(script: &str, json: bool) -> Command {
        Command {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            timeout: Duration::from_secs(20),
            refresh_interval: Duration::from_secs(300),
            json,
        }
    }

    fn says(script: &str, json: bool) -> String {
        shell(script, json).run().unwrap_err().to_string()
    }

    #[test]
    fn takes_what_the_command_prints() {
        assert_eq!(shell("echo s3cret", false).run().unwrap().secret.expose(), "s3cret");
        let answer =
            shell(r#"echo '{"value": "s3cret", "expires_at": "2100-01-01T00:00:00+01:00"}'"#, true).run();
        let answer = answer.unwrap();
        assert_eq!(answer.secret.expose(), "s3cret");
        let at = answer.expires_at.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(at, 4_102_444_800 - 3600);
        assert!(shell(r#"echo '{"value": "s", "expires_at": 4102444800}'"#, true).run().is_ok());
        assert!(shell(r#"echo '{"value": "s"}'"#, true).run().unwrap().expires_at.is_none());
    }

    #[test]
    fn says_what_went_wrong_and_never_what_was_written() {
        let missing = Command { program: "/nonexistent".into(), ..shell("", false) };
        assert_eq!(
            missing.run().unwrap_err().to_string(),
            "the command cannot be started: No such file or directory"
        );
        for (script, json, message) in [
            ("echo CANARY; echo CANARY >&2; exit 3", false, "ended with exit code 3"),
            ("echo CANARY; kill -9 $$", false, "was ended by signal 9"),
            ("printf 'CANARY\\nCANARY'", false, "control character"),
            ("true", false, "empty"),
            ("printf '\\377'", false, "not UTF-8"),
            ("yes CANARY", false, "more than 64 KiB"),
            ("echo CANARY", true, "did not write JSON"),
            (r#"echo '{"value": "CANARY", "expires_at": "tomorrow"}'"#, true, "neither an RFC 3339 time"),
            (r#"echo '{"value": "CANARY", "expires_at": 1}'"#, true, "expired already"),
        ] {
            let said = says(script, json);
            assert!(said.contains(message) && !said.contains("CANARY"), "{script}: {said}");
        }
        assert!(!format!("{:?}", shell("CANARY", false)).contains("CANARY"));
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!("sleep 1000 & echo $! $$ > {}; wait", pids.display());
        // Time enough to write the file, whatever else the machine does.
        let command = Command { timeout: Duration::from_secs(3), ..shell(&script, false) };
        assert!(matches!(command.run(), Err(CommandError::Timeout(_))));
        let pids = std::fs::read_to_string(pids).unwrap();
        let state = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let own = pids.split_whitespace().last().unwrap();
        assert_eq!(state(own), "", "no zombie of ours");
        // Its child is the business of init once its parent is gone.
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
            thread::sleep(POLL);
        }
    }
}
