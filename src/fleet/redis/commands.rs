//! The steps of the store, each one script.

use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Value};

use super::connection::Connection;
use super::replies;
use super::scripts::Script;
use crate::config::StoreServer;
use crate::fleet::names::Names;
use crate::fleet::record::millis;
use crate::fleet::store::{Locked, SharedStore, StoreError, View, Write, Written};
use crate::refresh::ClockReading;

/// A store that speaks the protocol of Redis.
pub(in crate::fleet) struct RedisStore {
    connection: Connection,
    prefix: String,
}

/// The channel on which news is published.
pub(super) fn channel(prefix: &str) -> String {
    format!("{prefix}:news")
}

/// The name of a record in the key that is published.
pub(super) fn published_name<'k>(prefix: &str, key: &'k str) -> Option<&'k str> {
    key.strip_prefix('{')?.strip_prefix(prefix)?.strip_prefix("}:")?.strip_suffix(":r")
}

impl RedisStore {
    /// A store at the end of this connection, with keys of this prefix.
    pub(in crate::fleet) fn new(connection: Connection, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned() }
    }

    /// Makes a step.
    async fn step(&self, script: Script, names: &Names, arguments: &[&[u8]]) -> Result<Value, StoreError> {
        let mut command = redis::cmd("EVAL");
        command.arg(script.text()).arg(names.all().len() * 4);
        for name in names.all() {
            for part in ["r", "l", "s", "f"] {
                command.arg(format!("{{{}}}:{name}:{part}", self.prefix));
            }
        }
        for argument in arguments {
            command.arg(argument);
        }
        self.connection.send(&command).await
    }

    async fn is_one(&self, script: Script, names: &Names, arguments: &[&[u8]]) -> Result<bool, StoreError> {
        replies::number(&self.step(script, names, arguments).await?).map(|number| number == 1)
    }

    /// Whether the store can be written.
    pub(in crate::fleet) async fn probe(&self) -> Result<(), StoreError> {
        let mut command = redis::cmd("EVAL");
        // Of several keys, as all steps are: a node that does not have all of them cannot make any.
        command.arg(Script::Probe.text()).arg(2);
        for key in ["probe", "probe:2"] {
            command.arg(format!("{{{}}}:{key}", self.prefix));
        }
        self.connection.send(&command).await.map(|_| ())
    }

    /// The server that was used last.
    pub(in crate::fleet) fn server(&self) -> Option<StoreServer> {
        self.connection.server()
    }

    /// Finds out again which server has the records, at the next step.
    pub(in crate::fleet) async fn reconnect(&self) {
        self.connection.close().await;
    }

    /// Sends a command that is about no record.
    pub(in crate::fleet) async fn send(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.connection.send(command).await
    }
}

/// A duration as an argument: at least a millisecond, because a key cannot have less. `None` is 0, which is no limit.
fn milliseconds(duration: Option<Duration>) -> String {
    duration.map_or(0, |duration| millis(duration).max(1)).to_string()
}

#[async_trait]
impl SharedStore for RedisStore {
    async fn read(&self, names: &Names) -> Result<View, StoreError> {
        let asked = ClockReading::now();
        replies::view(self.step(Script::Read, names, &[]).await?, asked)
    }

    async fn lock(&self, names: &Names, nonce: &str, lease: Duration) -> Result<Locked, StoreError> {
        let (asked, lease) = (ClockReading::now(), milliseconds(Some(lease)));
        let reply = self.step(Script::Lock, names, &[nonce.as_bytes(), lease.as_bytes()]).await?;
        let [outcome, rest]: [Value; 2] =
            replies::list(reply)?.try_into().map_err(|_| replies::unexpected())?;
        match replies::number(&outcome)? {
            0 => Ok(Locked::Held(Duration::from_millis(replies::number(&rest)?))),
            _ => Ok(Locked::Acquired(replies::view(rest, asked)?)),
        }
    }

    async fn renew(
        &self,
        names: &Names,
        nonce: &str,
        lease: Duration,
        spends: bool,
    ) -> Result<bool, StoreError> {
        let (lease, spends) = (milliseconds(Some(lease)), if spends { b"1" } else { b"0" });
        self.is_one(Script::Renew, names, &[nonce.as_bytes(), lease.as_bytes(), spends]).await
    }

    async fn is_current(&self) -> Result<bool, StoreError> {
        self.connection.is_current().await
    }

    async fn mark(&self, names: &Names, nonce: &str) -> Result<bool, StoreError> {
        self.is_one(Script::Mark, names, &[nonce.as_bytes()]).await
    }

    async fn write(&self, names: &Names, write: Write<'_>) -> Result<Written, StoreError> {
        let (asked, keep) = (ClockReading::now(), milliseconds(write.keep));
        let channel = channel(&self.prefix);
        let texts = [write.nonce, write.expected, write.generation, &keep, &channel];
        let arguments: Vec<_> = texts.map(str::as_bytes).into_iter().chain(all(&write.sealed)).collect();
        let reply = replies::list(self.step(Script::Write, names, &arguments).await?)?;
        let mut entries = reply.into_iter();
        match (entries.next().as_ref().map(replies::number).transpose()?, entries.next()) {
            (Some(1), None) => Ok(Written::Done),
            (Some(0), Some(view)) => Ok(Written::Lost(replies::view(view, asked)?)),
            _ => Err(replies::unexpected()),
        }
    }

    async fn restore(
        &self,
        names: &Names,
        generation: &str,
        sealed: Vec<Vec<u8>>,
        keep: Option<Duration>,
    ) -> Result<bool, StoreError> {
        let (keep, channel) = (milliseconds(keep), channel(&self.prefix));
        let texts = [generation, &keep, &channel].map(str::as_bytes);
        let arguments: Vec<_> = texts.into_iter().chain(all(&sealed)).collect();
        self.is_one(Script::Restore, names, &arguments).await
    }

    async fn fail(
        &self,
        names: &Names,
        nonce: &str,
        generation: &str,
        sealed: Vec<Vec<u8>>,
        keep: Duration,
    ) -> Result<(), StoreError> {
        let (keep, channel) = (milliseconds(Some(keep)), channel(&self.prefix));
        let texts = [nonce, generation, &keep, &channel].map(str::as_bytes);
        let arguments: Vec<_> = texts.into_iter().chain(all(&sealed)).collect();
        self.step(Script::Fail, names, &arguments).await.map(|_| ())
    }

    async fn ask(&self, names: &Names) -> Result<(), StoreError> {
        self.step(Script::Ask, names, &[channel(&self.prefix).as_bytes()]).await.map(|_| ())
    }

    async fn release(&self, names: &Names, nonce: &str) -> Result<(), StoreError> {
        self.step(Script::Release, names, &[nonce.as_bytes()]).await.map(|_| ())
    }

    fn stable_for(&self) -> Duration {
        self.connection.stable_for()
    }
}

fn all(sealed: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    sealed.iter().map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_key_names_its_record() {
        assert_eq!(published_name("sidekey", "{sidekey}:abc:r"), Some("abc"));
        for other in ["{sidekey}:abc:l", "{other}:abc:r", "sidekey:abc:r", "{sidekey}abc:r", ""] {
            assert_eq!(published_name("sidekey", other), None, "{other}");
        }
    }

    #[test]
    fn duration_of_a_key_is_never_zero() {
        let nothing =
            [None, Some(Duration::ZERO), Some(Duration::from_micros(1)), Some(Duration::from_secs(2))];
        assert_eq!(nothing.map(milliseconds), ["0", "1", "1", "2000"]);
    }
}
