//! Which server has the records: the one of the configuration, or the primary that sentinels or nodes of a cluster name.
//!
//! All of them are asked at once. The one that most of them name is used. A refresh token is spent only if more than half of all
//! confirm it: in a network that is divided, no process can spend it on each side.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{Cmd, Value};
use tokio::time::Instant;

use super::errors::explain;
use super::reach::Reach;
use super::replies::server_of;
use super::slot::{primary_of, slot_of};
use crate::config::StoreServer;
use crate::fleet::store::StoreError;

/// How long the others are waited for, when one of several has answered.
const OTHERS_WAIT: Duration = Duration::from_millis(100);

/// How the server is found.
pub(super) enum Primary {
    /// It is always the same.
    Fixed(StoreServer),
    /// Others name it.
    Named(Box<Witnesses>),
}

/// Servers that can name the primary.
pub(super) struct Witnesses {
    servers: Vec<StoreServer>,
    question: Question,
    /// How sentinels are reached; `None`: as the store is.
    reach: Option<Reach>,
}

/// What they are asked.
enum Question {
    /// The address of the primary of this name.
    Sentinel(String),
    /// The primary that has this slot.
    Slot(u16),
}

/// What was answered.
#[derive(Default)]
struct Votes {
    /// Each server that was named, and by how many.
    named: Vec<(StoreServer, usize)>,
    /// Why the first one that has not answered did not.
    error: Option<StoreError>,
}

impl Votes {
    fn add(&mut self, server: StoreServer) {
        match self.named.iter_mut().find(|(named, _)| *named == server) {
            Some((_, count)) => *count += 1,
            None => self.named.push((server, 1)),
        }
    }

    /// The server that most name; of equal ones the first.
    fn most(&self) -> Option<&(StoreServer, usize)> {
        self.named.iter().rev().max_by_key(|(_, count)| *count)
    }

    /// The server that more than half of all name.
    fn majority(&self, all: usize) -> Option<&StoreServer> {
        self.most().filter(|(_, count)| count * 2 > all).map(|(server, _)| server)
    }
}

impl Primary {
    /// The primary that these sentinels know by this name.
    pub(super) fn of_sentinels(servers: Vec<StoreServer>, name: String, reach: Reach) -> Self {
        Self::Named(Box::new(Witnesses { servers, question: Question::Sentinel(name), reach: Some(reach) }))
    }

    /// The node of a cluster that has the keys of this hash tag.
    pub(super) fn of_cluster(servers: Vec<StoreServer>, tag: &str) -> Self {
        Self::Named(Box::new(Witnesses { servers, question: Question::Slot(slot_of(tag)), reach: None }))
    }

    /// The slot of a cluster that has all keys; `None` if it is no cluster.
    pub(super) fn slot(&self) -> Option<u16> {
        match self {
            Self::Named(witnesses) => match witnesses.question {
                Question::Slot(slot) => Some(slot),
                Question::Sentinel(_) => None,
            },
            Self::Fixed(_) => None,
        }
    }

    /// Finds it. `store` is how the store is reached.
    pub(super) async fn find(&self, store: &Reach, limit: Duration) -> Result<StoreServer, StoreError> {
        match self {
            Self::Fixed(server) => Ok(server.clone()),
            Self::Named(witnesses) => {
                let votes = witnesses.ask(store, limit, OTHERS_WAIT).await;
                let most = votes.most().map(|(server, _)| server.clone());
                most.ok_or_else(|| {
                    votes.error.unwrap_or_else(|| StoreError("no server answered in time".into()))
                })
            }
        }
    }

    /// Whether it is this server: more than half of the servers that can name it do.
    ///
    /// # Errors
    ///
    /// If more than half name none.
    pub(super) async fn is(
        &self,
        server: &StoreServer,
        store: &Reach,
        limit: Duration,
    ) -> Result<bool, StoreError> {
        let Self::Named(witnesses) = self else { return Ok(true) };
        let votes = witnesses.ask(store, limit, limit).await;
        let all = witnesses.servers.len();
        match votes.majority(all) {
            Some(named) => Ok(named == server),
            None => Err(StoreError(format!(
                "which server is the primary is not certain: {} of {all} name the same one{}",
                votes.most().map_or(0, |(_, count)| *count),
                votes.error.map(|error| format!(" ({error})")).unwrap_or_default()
            ))),
        }
    }
}

impl Witnesses {
    /// Asks all of them, until more than half agree, all have answered, or the time is over.
    async fn ask(&self, store: &Reach, limit: Duration, others_wait: Duration) -> Votes {
        let reach = self.reach.as_ref().unwrap_or(store);
        let mut answers: FuturesUnordered<_> =
            self.servers.iter().map(|server| self.answer(server, reach, limit)).collect();
        let mut votes = Votes::default();
        let mut end = Instant::now() + limit;
        while let Ok(Some(answer)) = tokio::time::timeout_at(end, answers.next()).await {
            match answer {
                Ok(server) => votes.add(server),
                Err(error) => drop(votes.error.get_or_insert(error)),
            }
            if votes.majority(self.servers.len()).is_some() {
                break;
            }
            if votes.most().is_some() {
                end = end.min(Instant::now() + others_wait);
            }
        }
        votes
    }

    async fn answer(
        &self,
        server: &StoreServer,
        reach: &Reach,
        limit: Duration,
    ) -> Result<StoreServer, StoreError> {
        let said = |error: StoreError| match &self.question {
            Question::Sentinel(_) => StoreError(format!("the sentinel {server}: {error}")),
            Question::Slot(_) => StoreError(format!("the node {server}: {error}")),
        };
        let asked = async {
            let mut open = reach.open(server, limit).await?;
            let reply = open.connection.send_packed_command(&self.question.command()).await;
            let reply = reply.and_then(Value::extract_error).map_err(|error| explain(&error))?;
            self.question.read(&reply, server)
        };
        asked.await.map_err(said)
    }
}

impl Question {
    fn command(&self) -> Cmd {
        match self {
            Self::Sentinel(name) => {
                let mut command = redis::cmd("SENTINEL");
                command.arg("get-master-addr-by-name").arg(name);
                command
            }
            Self::Slot(_) => {
                let mut command = redis::cmd("CLUSTER");
                command.arg("SLOTS");
                command
            }
        }
    }

    fn read(&self, reply: &Value, asked: &StoreServer) -> Result<StoreServer, StoreError> {
        let named = match (self, reply) {
            (Self::Slot(slot), reply) => primary_of(reply, *slot, asked),
            (Self::Sentinel(_), Value::Array(address)) => match address.as_slice() {
                [host, port] => server_of(host, port, None),
                _ => None,
            },
            (Self::Sentinel(_), _) => None,
        };
        named.ok_or_else(|| {
            StoreError(match self {
                Self::Sentinel(name) => format!("it knows no primary of the name {name}"),
                Self::Slot(_) => "no node of the cluster has the records".into(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Host;

    fn server(port: u16) -> StoreServer {
        StoreServer { host: Host::Ip([10, 0, 0, 1].into()), port }
    }

    #[test]
    fn server_that_most_name_is_the_primary() {
        let mut votes = Votes::default();
        assert_eq!((votes.most(), votes.majority(3)), (None, None));
        votes.add(server(1));
        assert_eq!((votes.most(), votes.majority(3)), (Some(&(server(1), 1)), None));
        votes.add(server(2));
        assert_eq!((votes.most(), votes.majority(2)), (Some(&(server(1), 1)), None));
        votes.add(server(2));
        assert_eq!((votes.most(), votes.majority(4)), (Some(&(server(2), 2)), None));
        assert_eq!(votes.majority(3), Some(&server(2)));
    }

    #[test]
    fn sentinel_that_knows_no_primary_is_an_error() {
        let question = Question::Sentinel("main".into());
        let error = question.read(&Value::Nil, &server(1)).unwrap_err();
        assert_eq!(error.to_string(), "it knows no primary of the name main");
    }
}
