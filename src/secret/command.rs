//! `exec`: a secret that a command prints, such as the client of a vault.
//!
//! The command is started without a shell, in its own process group, which is killed as a whole after the
//! timeout. Its standard error is discarded, because it may contain the secret.

use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process_group};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::{InvalidSecret, NotText, Secret, SecretText, read_to_end};

/// Largest output, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Time between two checks whether a command has ended after it closed its output.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A command and the format of its output.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Command {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Time after which it is killed.
    pub timeout: Duration,
    /// Longest time until it is run again.
    pub refresh_interval: Duration,
    /// Whether the output is `{"value": …, "expires_at": …}` instead of the bare secret.
    pub json: bool,
}

/// Without the arguments, because one may be a password.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exec {}", self.program)
    }
}

/// The output of a command.
#[derive(Debug, Clone)]
pub struct CommandOutput {
    /// The secret.
    pub secret: Secret,
    /// When it expires, if the command says so.
    pub expires_at: Option<SystemTime>,
}

/// Why a command gave no secret. The text never contains its output.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
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
    /// The output is not UTF-8.
    #[error("the output of the command is {0}")]
    NotText(#[from] NotText),
    /// With `format: json`: the output has another form.
    #[error("the command did not write JSON of the form {{\"value\": \"…\", \"expires_at\": …}}")]
    NotJson,
    /// With `format: json`: invalid `expires_at`.
    #[error(
        "`expires_at` in the output of the command is neither an RFC 3339 time nor a Unix time in seconds"
    )]
    ExpiresAt,
    /// With `format: json`: `expires_at` is in the past.
    #[error("the secret in the output of the command has expired already")]
    Expired,
    /// The output is not a valid secret.
    #[error("the output of the command is not a valid secret: {0}")]
    Invalid(#[from] InvalidSecret),
}

impl Command {
    /// Runs the command until it ends. Blocks.
    pub fn run(&self) -> Result<CommandOutput, CommandError> {
        let output = self.output()?;
        if !self.json {
            let secret = SecretText::of_content(output)?.into_secret()?;
            return Ok(CommandOutput { secret, expires_at: None });
        }
        let answer: Json = serde_json::from_slice(&output).map_err(|_| CommandError::NotJson)?;
        let secret = SecretText::verbatim(answer.value).into_secret()?;
        let expires_at = answer.expires_at.as_ref().map(moment).transpose()?;
        if expires_at.is_some_and(|at| at <= SystemTime::now()) {
            return Err(CommandError::Expired);
        }
        Ok(CommandOutput { secret, expires_at })
    }

    fn output(&self) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        if cfg!(fuzzing) {
            // A fuzzer must not run the commands that it makes up.
            return Err(CommandError::Start(io::ErrorKind::Unsupported.into()));
        }
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
        // The thread ends with the command: its group is killed after the timeout, and no other process has
        // the pipe.
        thread::spawn(move || {
            let mut stdout = stdout.expect("standard output is piped");
            let _ = sender.send(read_to_end(&mut stdout, 0, MAX_BYTES));
        });
        let left = || deadline.saturating_duration_since(Instant::now());
        let output = match receiver.recv_timeout(left()) {
            Ok(read) => read.map_err(CommandError::Start)?.ok_or(CommandError::TooLarge)?,
            Err(_) => return Err(CommandError::Timeout(self.timeout)),
        };
        loop {
            if let Some(status) = running.child.try_wait().map_err(CommandError::Start)? {
                running.ended = true;
                return if status.success() { Ok(output) } else { Err(CommandError::Failed(status)) };
            }
            if left().is_zero() {
                return Err(CommandError::Timeout(self.timeout));
            }
            thread::sleep(POLL_INTERVAL);
        }
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

#[derive(serde::Deserialize)]
struct Json {
    value: Zeroizing<String>,
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
    fn command_output_is_the_secret() {
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
    fn command_error_does_not_contain_output() {
        let missing = Command { program: "/nonexistent".into(), ..shell("", false) };
        assert_eq!(
            missing.run().unwrap_err().to_string(),
            "the command cannot be started: No such file or directory"
        );
        for (script, json, message) in [
            ("echo CANARY; echo CANARY >&2; exit 3", false, "ended with exit code 3"),
            ("echo CANARY; kill -9 $$", false, "was killed by signal 9"),
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
    fn hanging_command_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!("sleep 1000 & echo $! $$ > {}; wait", pids.display());
        // Long enough to write the file on a busy machine.
        let command = Command { timeout: Duration::from_secs(3), ..shell(&script, false) };
        assert!(matches!(command.run(), Err(CommandError::Timeout(_))));
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
