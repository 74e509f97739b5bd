//! `exec`: a secret that a command prints.

use std::time::Duration;

use super::reader::duration;
use super::reader::mapping::Table;
use super::reader::value::Item;
use crate::secret::Command;

const TIMEOUT: Duration = Duration::from_secs(10);
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Reads the keys of a secret that has `exec`.
pub(super) fn read(table: &mut Table<'_>) -> Option<Command> {
    let words = table.optional("exec").and_then(|item| words(&item));
    let timeout = table.optional("timeout").map(|item| duration::positive(&item));
    let refresh_interval = table.optional("refresh_interval").map(|item| duration::positive(&item));
    let json = table.optional("format").map(|item| item.choice(&[("text", false), ("json", true)]));
    let mut words = words?.into_iter();
    Some(Command {
        program: words.next()?,
        arguments: words.collect(),
        timeout: timeout.unwrap_or(Some(TIMEOUT))?,
        refresh_interval: refresh_interval.unwrap_or(Some(REFRESH_INTERVAL))?,
        json: json.unwrap_or(Some(false))?,
    })
}

fn words(item: &Item<'_>) -> Option<Vec<String>> {
    if !item.is_list() {
        item.mistake(
            "a command is a list, `[COMMAND, ARGUMENT…]`; there is no shell that would take a line apart",
        );
        return None;
    }
    let items = item.list()?;
    if items.is_empty() {
        item.mistake("an empty list; the first entry is the command");
        return None;
    }
    let word = |(index, item): (usize, &Item<'_>)| {
        item.parse(|text| match text {
            "" if index == 0 => Err("empty; the first entry is the command".into()),
            _ if text.contains('\0') => Err("neither a command nor an argument has a NUL in it".into()),
            _ => Ok(text.to_owned()),
        })
    };
    // Every one of them, so that all mistakes are named.
    let words: Vec<_> = items.iter().enumerate().map(word).collect();
    words.into_iter().collect()
}
