//! `exec`: a secret that a command prints.

use std::time::Duration;

use super::duration;
use super::duration::DURATION;
use super::mapping::Mapping;
use super::table::{Format, Key, Keys};
use super::value::Value;
use crate::secret::Command;

/// Default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Default of `refresh_interval`.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The command itself, which is what makes a secret one that a command prints.
pub(super) const EXEC: Key = Key::depends(
    "exec",
    Format::NonEmptyList(&Format::Text),
    "Command and arguments, run without a shell; what it prints is the secret.",
);

/// The keys of a secret that has `exec`.
pub(super) const KEYS: Keys = &[
    EXEC.and_required(),
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

/// Reads the keys of a secret that has `exec`.
pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Command> {
    mapping.allow(KEYS);
    let words = mapping.required("exec").and_then(|value| words(&value));
    let timeout = mapping.optional("timeout").map(|value| duration::positive(&value));
    let refresh_interval = mapping.optional("refresh_interval").map(|value| duration::positive(&value));
    let json = mapping.optional("format").map(|value| value.one_of(&FORMATS));
    let mut words = words?.into_iter();
    Some(Command {
        program: words.next()?,
        arguments: words.collect(),
        timeout: timeout.unwrap_or(Some(TIMEOUT))?,
        refresh_interval: refresh_interval.unwrap_or(Some(REFRESH_INTERVAL))?,
        json: json.unwrap_or(Some(false))?,
    })
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
