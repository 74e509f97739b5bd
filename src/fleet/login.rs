//! A new refresh token from outside: a login.

use std::time::Duration;

use super::record::{Record, number};
use super::shared::{Shared, random_name};
use super::store::{Locked, StoreError, Write, Written};

/// How often a write is tried that another process is faster than.
const ATTEMPTS: usize = 10;

impl Shared {
    /// Checks that the store can be written.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let nonce = random_name();
        match self.store.lock(&self.names, &nonce, Duration::from_secs(1)).await? {
            Locked::Acquired(_) => self.store.release(&self.names, &nonce).await,
            // Somebody else can write it.
            Locked::Held(_) => Ok(()),
        }
    }

    /// Replaces the record, whatever is in it. A process that is requesting a value with the old refresh token gives it up for the new
    /// one.
    pub async fn replace(&self, content: &[u8]) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let view = self.store.read(&self.names).await?;
            let record = Record {
                generation: number(view.generation()).unwrap_or_default() + 1,
                write: random_name(),
                by: self.process.to_string(),
                ends: None,
                lifetime: 0,
                took: 0,
                forced: None,
                content: content.to_vec().into(),
            };
            let write = Write {
                nonce: &record.write,
                expected: view.generation(),
                generation: &record.generation_text(),
                sealed: record.seal(&self.keys, &self.names),
                keep: None,
            };
            if let Written::Done = self.store.write(&self.names, write).await? {
                return Ok(());
            }
        }
        Err(StoreError("other processes are writing all the time".into()))
    }
}
