//! `exec`: what a command prints, such as the client of a vault. It is run without a shell, by its path or by its
//! name in `PATH`.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::{Content, SourceKind};
use crate::credential::process;
use crate::credential::process::ProcessError;
use crate::secret::{Fetched, NotText, SecretSource, SecretText, Source, SourceError, WatchHint};

/// Default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Default of `refresh_interval`.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// A command and the format of its output.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Command {
    program: String,
    arguments: Vec<String>,
    /// Time after which it is killed.
    timeout: Duration,
    /// Longest time until it is run again.
    refresh_interval: Duration,
    /// Whether the output is `{"value": …, "expires_at": …}` instead of the bare secret.
    json: bool,
}

/// Its part of the table of sources.
pub(super) const KIND: SourceKind = SourceKind { form: "{ exec: [COMMAND, …] }", keys: KEYS, read };

const KEYS: Keys = &[
    Key::required(
        "exec",
        Format::NonEmptyList(&Format::Text),
        "Command and arguments, run without a shell; what it prints is the secret.",
    ),
    Key::optional("timeout", DURATION, "The command is killed after this long.").or("10s"),
    Key::optional("refresh_interval", DURATION, "The command is run again after this long.").or("5m"),
    Key::optional(
        "format",
        Format::Words(&FORMATS),
        "The bare secret, or a JSON object with `value` and `expires_at`.",
    )
    .or("text"),
];

/// `format`: whether it is JSON.
const FORMATS: [(&str, bool); 2] = [("text", false), ("json", true)];

fn read(mapping: &mut Mapping<'_>) -> Option<Source> {
    let exec = mapping.required("exec");
    let words = exec.as_ref().and_then(words);
    let timeout = mapping.optional("timeout").map(|value| duration::positive(&value));
    let refresh_interval = mapping.optional("refresh_interval").map(|value| duration::positive(&value));
    let json = mapping.optional("format").map(|value| value.one_of(&FORMATS));
    let mut words = words?.into_iter();
    let program = words.next()?;
    let arguments: Vec<String> = words.collect();
    if let Some(exec) = exec {
        // Without a slash it is found by `PATH`, in folders of the system.
        let program = Some(&*program).filter(|program| program.contains('/'));
        // A script of an interpreter, or a file that the program reads: `--config=FILE` as well.
        let files = arguments.iter().map(|word| word.split_once('=').map_or(&**word, |(_, value)| value));
        for file in program.into_iter().chain(files) {
            exec.warn_if_exposed(Path::new(file), Content::Trusted);
        }
    }
    Some(Source::new(Command {
        program,
        arguments,
        timeout: timeout.unwrap_or(Some(TIMEOUT))?,
        refresh_interval: refresh_interval.unwrap_or(Some(REFRESH_INTERVAL))?,
        json: json.unwrap_or(Some(false))?,
    }))
}

fn words(value: &Value<'_>) -> Option<Vec<String>> {
    if !value.is_list() {
        value.error("a command is a list, `[COMMAND, ARGUMENT…]`; no shell splits a line into words");
        return None;
    }
    let items = value.list()?;
    if items.is_empty() {
        value.error("the list is empty; the first entry is the command");
        return None;
    }
    let word = |(index, value): (usize, &Value<'_>)| {
        value.parse(|text| match text {
            "" if index == 0 => Err("empty; the first entry is the command".into()),
            _ if text.contains('\0') => {
                Err("a command and its arguments cannot contain a NUL character".into())
            }
            _ => Ok(text.to_owned()),
        })
    };
    // Collected first, so that every error is reported.
    let words: Vec<_> = items.iter().enumerate().map(word).collect();
    words.into_iter().collect()
}

impl SecretSource for Command {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        self.run().map_err(|error| SourceError::new(error.to_string()))
    }

    fn watch(&self) -> WatchHint {
        WatchHint::Poll(self.refresh_interval)
    }
}

impl Command {
    fn run(&self) -> Result<Fetched, CommandError> {
        let output = process::output(&self.program, &self.arguments, &[], self.timeout)?;
        if !self.json {
            return Ok(Fetched::lasting(SecretText::of_content(output)?));
        }
        let answer: Json = serde_json::from_slice(&output).map_err(|_| CommandError::NotJson)?;
        let expires_at = answer.expires_at.as_ref().map(moment).transpose()?;
        if expires_at.is_some_and(|at| at <= SystemTime::now()) {
            return Err(CommandError::Expired);
        }
        Ok(Fetched { value: SecretText::verbatim(answer.value), expires_at, lease: None })
    }
}

/// Without the arguments, because one may be a password.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exec {}", self.program)
    }
}

/// Without the program: in a configuration that was never in use, it may be a secret in the wrong place.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output of the command")
    }
}

/// The output with `format: json`.
#[derive(Deserialize)]
struct Json {
    value: Zeroizing<String>,
    expires_at: Option<serde_json::Value>,
}

/// A time in seconds since 1970, or as in RFC 3339.
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

/// Why a command gave nothing. The text contains nothing of its output.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("the output of the command: {0}")]
    NotText(#[from] NotText),
    #[error("the command did not write JSON of the form {{\"value\": \"…\", \"expires_at\": …}}")]
    NotJson,
    #[error(
        "`expires_at` in the output of the command is neither an RFC 3339 time nor a Unix time in seconds"
    )]
    ExpiresAt,
    #[error("the secret in the output of the command has expired already")]
    Expired,
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

    fn secret(script: &str, json: bool) -> Result<String, SourceError> {
        Source::new(shell(script, json)).secret().map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn command_output_is_the_secret() {
        assert_eq!(secret("echo s3cret", false).unwrap(), "s3cret");
        let with_expiry = r#"echo '{"value": "s3cret", "expires_at": "2100-01-01T00:00:00+01:00"}'"#;
        assert_eq!(secret(with_expiry, true).unwrap(), "s3cret");
        let at = shell(with_expiry, true).run().unwrap().expires_at.unwrap();
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds, 4_102_444_800 - 3600);
        assert!(shell(r#"echo '{"value": "s", "expires_at": 4102444800}'"#, true).run().is_ok());
        assert!(shell(r#"echo '{"value": "s"}'"#, true).run().unwrap().expires_at.is_none());
    }

    #[test]
    fn command_error_does_not_contain_output() {
        let missing = Command { program: "/nonexistent".into(), ..shell("", false) };
        assert_eq!(
            missing.run().err().unwrap().to_string(),
            "the command cannot be started: No such file or directory"
        );
        for (script, json, message) in [
            ("echo CANARY; echo CANARY >&2; exit 3", false, "ended with exit code 3"),
            ("echo CANARY; kill -9 $$", false, "was killed by signal 9"),
            ("printf 'CANARY\\nCANARY'", false, "control character"),
            ("printf '\\357\\273\\277CANARY'", false, "U+FEFF (byte order mark) at position 1"),
            (r#"echo '{"value": "CANARY\u200b"}'"#, true, "U+200B (zero width space) at position 7"),
            ("true", false, "empty"),
            ("printf '\\377'", false, "not UTF-8"),
            ("yes CANARY", false, "more than 64 KiB"),
            ("echo CANARY", true, "did not write JSON"),
            (r#"echo '{"value": "CANARY", "expires_at": "tomorrow"}'"#, true, "neither an RFC 3339 time"),
            (r#"echo '{"value": "CANARY", "expires_at": 1}'"#, true, "expired already"),
        ] {
            let said = secret(script, json).unwrap_err().to_string();
            assert!(said.contains(message) && !said.contains("CANARY"), "{script}: {said}");
        }
        let command = shell("CANARY", false);
        assert!(!format!("{command:?} {command}").contains("CANARY"));
    }
}
