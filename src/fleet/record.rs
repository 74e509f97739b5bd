//! A record: a value in the store, with what a fleet must know of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keys::{FleetKeys, Place};
use super::names::Names;
use super::store::Stored;
use crate::refresh::{Expiry, SourceError};
use crate::secret::Unreadable;

/// Bytes that are wiped when they are dropped.
pub(super) type Content = Zeroizing<Vec<u8>>;

/// The part of a place that is a record.
const PART: &str = "record";

/// Largest generation: what a Lua number holds exactly.
const MAX_GENERATION: u64 = 1 << 53;

/// What a request gave.
pub struct Obtained {
    /// The value as the kind writes it.
    pub content: Zeroizing<Vec<u8>>,
    /// When the value must no longer be used.
    pub expiry: Option<Expiry>,
    /// Why the value cannot be used, although its content must be kept: a refresh token came with it.
    pub failure: Option<SourceError>,
}

/// A record, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The number of the value; a later value has a larger one.
    pub(super) generation: u64,
    /// A random name of the write, which tells a record from another one of the same generation.
    pub(super) write: String,
    /// Which process requested the value.
    pub(super) by: String,
    /// When the value ends, in milliseconds of the store's clock; `None` if it cannot be used.
    pub(super) ends: Option<u64>,
    /// The whole lifetime of the value, in milliseconds.
    pub(super) lifetime: u64,
    /// How long the request took, in milliseconds.
    pub(super) took: u64,
    /// When a refresh was last made before its time, in milliseconds of the store's clock.
    pub(super) forced: Option<u64>,
    /// The value as the kind writes it.
    pub(super) content: Content,
}

#[derive(Serialize)]
struct Written<'a> {
    write: &'a str,
    by: &'a str,
    ends: Option<u64>,
    lifetime: u64,
    took: u64,
    forced: Option<u64>,
    content: &'a str,
}

#[derive(Deserialize)]
struct Read {
    write: String,
    by: String,
    ends: Option<u64>,
    lifetime: u64,
    took: u64,
    forced: Option<u64>,
    content: Zeroizing<String>,
}

impl Record {
    /// The generation as it stands in the store.
    pub(super) fn generation_text(&self) -> String {
        self.generation.to_string()
    }

    /// The record, sealed for each of its names.
    pub(super) fn seal(&self, keys: &FleetKeys, names: &Names) -> Vec<Vec<u8>> {
        let content = std::str::from_utf8(&self.content).expect("a kind writes JSON");
        let Self { write, by, ends, lifetime, took, forced, .. } = self;
        let written =
            Written { write, by, ends: *ends, lifetime: *lifetime, took: *took, forced: *forced, content };
        let json = Zeroizing::new(serde_json::to_vec(&written).expect("texts and numbers are JSON"));
        let generation = self.generation_text();
        let place = |name| Place { part: PART, name, generation: &generation };
        names.all().iter().map(|name| keys.seal(&place(name), &json)).collect()
    }

    /// Opens what the store has.
    pub(super) fn open(keys: &FleetKeys, names: &Names, stored: &Stored) -> Result<Self, Unreadable> {
        let name = names.all().get(stored.name).ok_or(Unreadable::Damaged)?;
        let place = Place { part: PART, name, generation: &stored.generation };
        let json = keys.open(&place, &stored.sealed)?;
        let generation = number(&stored.generation).ok_or(Unreadable::Damaged)?;
        let read: Read = serde_json::from_slice(&json).map_err(|_| Unreadable::Damaged)?;
        let Read { write, by, ends, lifetime, took, forced, content } = read;
        let content = Zeroizing::new(content.as_bytes().to_vec());
        Ok(Self { generation, write, by, ends, lifetime, took, forced, content })
    }

    /// Time left of the value at this time of the store; zero if it has ended or cannot be used.
    pub(super) fn left(&self, now: u64) -> Duration {
        Duration::from_millis(self.ends.map_or(0, |ends| ends.saturating_sub(now)))
    }

    /// Whether a process that has not got the value takes it as it is: more than a quarter of its lifetime is left.
    pub(super) fn is_fresh(&self, now: u64) -> bool {
        self.left(now) > Duration::from_millis(self.lifetime / 4)
    }

    /// Whether the value can be used.
    pub(super) fn is_usable(&self, now: u64) -> bool {
        !self.left(now).is_zero()
    }
}

/// The number of a generation that stands in the store.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && *number < MAX_GENERATION)
}

/// A duration as the store counts.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
