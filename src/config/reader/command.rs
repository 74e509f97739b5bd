//! `exec`: a secret that a command prints.

use std::time::Duration;

use super::duration;
use super::value::{Mapping, Value};
use crate::secret::Command;

/// Default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Default of `refresh_interval`.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Reads the keys of a secret that has `exec`.
pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Command> {
    let words = mapping.optional("exec").and_then(|value| words(&value));
    let timeout = mapping.optional("timeout").map(|value| duration::positive(&value));
    let refresh_interval = mapping.optional("refresh_interval").map(|value| duration::positive(&value));
    let json = mapping.optional("format").map(|value| value.one_of(&[("text", false), ("json", true)]));
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
