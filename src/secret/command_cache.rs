//! Caches the output of commands, so that a reload runs none of them, and refreshes it in time.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::Secret;
use super::command::{Command, CommandError, CommandOutput};

/// Time until a failed command is run again; its `refresh_interval`, if that is shorter.
const RETRY_INTERVAL: Duration = Duration::from_secs(15);
/// Shortest time between two runs, even if a secret expires sooner.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The last output of every command.
#[derive(Default)]
pub struct CommandCache(Mutex<HashMap<Command, CacheEntry>>);

struct CacheEntry {
    secret: Secret,
    due: Instant,
    /// Whether it was used since the last [`CommandCache::evict_unused`].
    used: bool,
    failing: Option<String>,
}

/// The outcome of a refresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefreshOutcome {
    /// Whether a secret changed.
    pub changed: bool,
    /// Whether a command failed; its previous secret stays in use.
    pub failed: bool,
}

impl CommandCache {
    /// The secret of a command. Runs the command, and blocks, if it is not in the cache.
    pub fn secret(&self, command: &Command) -> Result<Secret, CommandError> {
        if let Some(entry) = self.0.lock().get_mut(command) {
            entry.used = true;
            return Ok(entry.secret.clone());
        }
        let output = command.run()?;
        let (secret, due) = (output.secret.clone(), due(command, &output));
        self.0
            .lock()
            .insert(command.clone(), CacheEntry { secret: output.secret, due, used: true, failing: None });
        Ok(secret)
    }

    /// Removes the commands that were not used since the last call.
    pub fn evict_unused(&self) {
        self.0.lock().retain(|_, entry| std::mem::take(&mut entry.used));
    }

    /// When the next command is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.0.lock().values().map(|entry| entry.due).min()
    }

    /// Runs the commands that are due, or all of them. Blocks.
    pub fn refresh(&self, all: bool) -> RefreshOutcome {
        let now = Instant::now();
        let is_due = |entry: &CacheEntry| all || entry.due <= now;
        let commands: Vec<_> = self
            .0
            .lock()
            .iter()
            .filter(|(_, entry)| is_due(entry))
            .map(|(command, _)| command.clone())
            .collect();
        let mut outcome = RefreshOutcome::default();
        for command in commands {
            let output = command.run();
            let mut entries = self.0.lock();
            let Some(entry) = entries.get_mut(&command) else { continue };
            match output {
                Ok(output) => {
                    outcome.changed |= entry.secret != output.secret;
                    entry.due = due(&command, &output);
                    entry.secret = output.secret;
                    if entry.failing.take().is_some() {
                        tracing::info!(command = command.program, "secret command succeeded again");
                    }
                }
                Err(error) => {
                    outcome.failed = true;
                    entry.due = Instant::now() + RETRY_INTERVAL.min(command.refresh_interval);
                    let said = error.to_string();
                    if entry.failing.as_ref() != Some(&said) {
                        tracing::error!(
                            command = command.program,
                            "secret command failed, the previous secret stays in use: {said}"
                        );
                        entry.failing = Some(said);
                    }
                }
            }
        }
        outcome
    }
}

/// When to run a command again: well before its secret expires, at four fifths of its lifetime.
fn due(command: &Command, output: &CommandOutput) -> Instant {
    let life = output.expires_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    let wait = life.map_or(command.refresh_interval, |life| (life * 4 / 5).min(command.refresh_interval));
    Instant::now() + wait.max(MIN_INTERVAL)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn command_runs_once_and_keeps_its_secret_on_failure() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        let script = format!("echo >> {0}.runs; cat {0}", file.display());
        let command = Command {
            program: "sh".into(),
            arguments: vec!["-c".into(), script],
            timeout: Duration::from_secs(20),
            refresh_interval: Duration::from_secs(300),
            json: false,
        };
        let runs = || std::fs::read(dir.path().join("secret.runs")).unwrap().len();
        let cache = CommandCache::default();
        assert!(cache.secret(&command).is_err(), "nothing to fall back on");
        std::fs::write(&file, "one").unwrap();
        assert_eq!(cache.secret(&command).unwrap().expose(), "one");
        assert_eq!(cache.secret(&command).unwrap().expose(), "one");
        assert_eq!(runs(), 2);
        assert_eq!((cache.refresh(false), runs()), (RefreshOutcome::default(), 2), "not due");
        std::fs::write(&file, "two").unwrap();
        assert_eq!(cache.refresh(true), RefreshOutcome { changed: true, failed: false });
        std::fs::remove_file(&file).unwrap();
        assert_eq!(cache.refresh(true), RefreshOutcome { changed: false, failed: true });
        assert_eq!(cache.secret(&command).unwrap().expose(), "two");
        let left = |due: Option<Instant>| due.unwrap().duration_since(Instant::now());
        assert!(left(cache.next_due()) <= RETRY_INTERVAL);
        cache.evict_unused();
        assert!(cache.next_due().is_some());
        cache.evict_unused();
        assert!(cache.next_due().is_none());
    }

    #[test]
    fn command_is_due_before_its_secret_expires() {
        let command = Command {
            program: "true".into(),
            arguments: vec![],
            timeout: Duration::from_secs(1),
            refresh_interval: Duration::from_secs(300),
            json: true,
        };
        let after = |life: Option<u64>| {
            let expires_at = life.map(|seconds| SystemTime::now() + Duration::from_secs(seconds));
            let output = CommandOutput { secret: Secret::new("s".into()).unwrap(), expires_at };
            due(&command, &output).saturating_duration_since(Instant::now()).as_secs_f64().round().to_string()
        };
        assert_eq!(
            [after(None), after(Some(100)), after(Some(9000)), after(Some(0))],
            ["300", "80", "300", "1"]
        );
    }
}
