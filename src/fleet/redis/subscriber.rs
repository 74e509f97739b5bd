//! A connection that receives news of other processes. As long as it stands, the store is up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::Value;
use tokio::time::Instant;

use super::commands::{RedisStore, channel, published_name};
use super::dialer::{Dialer, Subscription};
use crate::config::StoreServer;
use crate::fleet::health::Health;
use crate::fleet::news::NewsRoom;
use crate::fleet::store::StoreError;

/// How often the store is asked how many processes there are, and whether it is still there.
pub(in crate::fleet) const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// First and longest time between two attempts to connect.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What the subscriber works with.
pub(in crate::fleet) struct Subscriber {
    pub(in crate::fleet) dialer: Arc<Dialer>,
    pub(in crate::fleet) store: Arc<RedisStore>,
    pub(in crate::fleet) prefix: String,
    pub(in crate::fleet) news: Arc<NewsRoom>,
    pub(in crate::fleet) health: Arc<Health>,
}

/// Why a subscription has ended.
enum End {
    /// Its connection was closed.
    Lost,
    /// Another server has the records. The store can be used.
    Replaced,
}

impl Subscriber {
    /// Passes news on, for ever.
    pub(in crate::fleet) async fn run(self) {
        let (mut wait, mut server) = (RECONNECT.0, None);
        loop {
            match self.listen(&mut wait, &mut server).await {
                Ok(End::Lost) => self.health.down(&StoreError("the connection was lost".into())),
                Ok(End::Replaced) => {}
                Err(error) => self.health.down(&error),
            }
            tokio::time::sleep(wait.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
            wait = (wait * 2).min(RECONNECT.1);
        }
    }

    async fn subscribe(&self) -> Result<Subscription, StoreError> {
        let mut subscription = self.dialer.subscriber().await?;
        let subscribing = subscription.messages.subscribe(channel(&self.prefix));
        match tokio::time::timeout(self.dialer.timeout(), subscribing).await {
            Ok(Ok(())) => Ok(subscription),
            Ok(Err(_)) => Err(StoreError("it does not permit this user to subscribe to the channel".into())),
            Err(_) => Err(StoreError("it did not answer in time".into())),
        }
    }

    /// Passes news on until the connection ends. `last` is the server of the last connection.
    async fn listen(&self, wait: &mut Duration, last: &mut Option<StoreServer>) -> Result<End, StoreError> {
        let Subscription { messages, server } = self.subscribe().await?;
        self.check_policy().await?;
        if !self.check(&server).await? {
            return Ok(End::Replaced);
        }
        if last.as_ref().is_some_and(|last| *last != server) {
            tracing::info!(fleet.primary = %server, "shared store has another primary");
        }
        *last = Some(server.clone());
        *wait = RECONNECT.0;
        // What was published before is not received.
        self.news.about_all();
        let mut messages = messages.into_on_message();
        let mut checked = Instant::now();
        loop {
            let interval = if self.health.is_down() { RECONNECT.1 } else { CHECK_INTERVAL };
            tokio::select! {
                message = messages.next() => match message {
                    None => return Ok(End::Lost),
                    Some(message) => {
                        let key: Result<String, _> = message.get_payload();
                        if let Some(name) = key.ok().as_deref().and_then(|key| published_name(&self.prefix, key)) {
                            self.news.about(name);
                        }
                    }
                },
                () = until_check(checked + interval, &self.health) => {
                    if !self.check(&server).await? {
                        return Ok(End::Replaced);
                    }
                    checked = Instant::now();
                }
            }
        }
    }

    /// Checks that the store can be written, and asks how many processes there are. Returns false if commands go to another server
    /// than this one.
    async fn check(&self, server: &StoreServer) -> Result<bool, StoreError> {
        if let Err(error) = self.store.probe().await {
            if self.dialer.is_replaceable() {
                return Err(error);
            }
            // News comes all the same. If it does not, the connection ends.
            self.health.down(&error);
            return Ok(true);
        }
        if self.store.server().is_some_and(|used| used != *server) {
            // One of both connections leads to a primary that has been replaced.
            self.store.reconnect().await;
            return Ok(false);
        }
        self.health.up();
        let mut command = redis::cmd("PUBSUB");
        command.arg("NUMSUB").arg(channel(&self.prefix));
        if let Value::Array(reply) = self.store.send(&command).await?
            && let Some(Value::Int(count)) = reply.get(1)
        {
            self.health.members(u64::try_from(*count).unwrap_or_default());
        }
        Ok(true)
    }

    /// Does once what [`Subscriber::run`] does for ever. Returns the rule of the store for a full memory, if it says so.
    pub(in crate::fleet) async fn try_once(&self) -> Result<Option<String>, StoreError> {
        drop(self.subscribe().await?);
        self.store.probe().await?;
        self.policy().await
    }

    /// Warns if the store removes records when its memory is full.
    async fn check_policy(&self) -> Result<(), StoreError> {
        if let Some(policy) = self.policy().await? {
            self.health.policy(&policy);
        }
        Ok(())
    }

    async fn policy(&self) -> Result<Option<String>, StoreError> {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        // A user need not be permitted to ask.
        let Ok(reply) = self.store.send(&command).await else { return Ok(None) };
        let text = match reply {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::VerbatimString { text, .. } => text,
            _ => return Ok(None),
        };
        Ok(policy(&text).map(str::to_owned))
    }
}

/// Waits until this time, or until the store cannot be used any more.
async fn until_check(time: Instant, health: &Health) {
    tokio::select! {
        () = tokio::time::sleep_until(time) => {}
        () = health.went_down() => {}
    }
}

/// The `maxmemory-policy` that the store states.
fn policy(info: &str) -> Option<&str> {
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"))?.trim();
    policy.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-').then_some(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_is_found_in_the_state_of_the_memory() {
        assert_eq!(policy("used_memory:1\r\nmaxmemory_policy:allkeys-lru\r\nx:y\r\n"), Some("allkeys-lru"));
        assert_eq!(policy("used_memory:1\r\n"), None);
        assert_eq!(policy("maxmemory_policy:\u{1b}[2J"), None);
    }
}
