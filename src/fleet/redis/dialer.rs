//! Opens connections to the server that has the records.

use std::time::Duration;

use redis::aio::PubSub;
use redis::{Cmd, RedisError, RedisResult, Value};

use super::primary::Primary;
use super::reach::{Open, Reach, Sort};
use super::redirection::{Redirection, redirection};
use crate::config::{SharedStore, StoreServer, Topology};
use crate::fleet::store::{BuildError, StoreError};
use crate::net::dns::Resolver;
use crate::tls::client::TlsClients;

/// How the store is reached.
pub(in crate::fleet) struct Dialer {
    store: Reach,
    primary: Primary,
    timeout: Duration,
}

/// A connection that receives what is published.
pub(in crate::fleet) struct Subscription {
    pub(super) messages: PubSub,
    pub(super) server: StoreServer,
}

impl Dialer {
    /// Prepares connections. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// If a file of TLS cannot be read, or a name cannot be verified.
    pub(in crate::fleet) fn new(
        config: &SharedStore,
        tls: &TlsClients,
        resolver: &Resolver,
    ) -> Result<Self, BuildError> {
        let servers = &config.url.servers;
        let of_store = Sort {
            servers,
            tls: config.url.is_tls.then_some(&config.tls),
            allows_plaintext: config.allows_plaintext,
            username: config.username.as_deref(),
            password: config.password.as_ref(),
            database: config.url.database,
        };
        let (store, primary) = match &config.topology {
            Topology::Single => (of_store, Primary::Fixed(servers[0].clone())),
            Topology::Cluster => (of_store, Primary::of_cluster(servers.clone(), &config.prefix)),
            Topology::Sentinel(sentinel) => {
                let of_sentinels = Sort {
                    tls: of_store.tls.map(|tls| sentinel.tls.as_ref().unwrap_or(tls)),
                    username: sentinel.username.as_deref(),
                    password: sentinel.password.as_ref(),
                    database: 0,
                    ..of_store
                };
                let reach = Reach::new(&of_sentinels, tls, resolver)?;
                let primary = Primary::of_sentinels(servers.clone(), sentinel.master.clone(), reach);
                (Sort { servers: &[], ..of_store }, primary)
            }
        };
        Ok(Self { store: Reach::new(&store, tls, resolver)?, primary, timeout: config.timeout })
    }

    /// Opens a connection for commands.
    pub(super) async fn open(&self) -> Result<Open, StoreError> {
        let server = self.primary.find(&self.store, self.timeout).await?;
        self.open_at(&server).await
    }

    /// Opens a connection for commands to a server that another one has named.
    pub(super) async fn open_at(&self, server: &StoreServer) -> Result<Open, StoreError> {
        self.store.open(server, self.timeout).await
    }

    /// Sends one command to a node that does not have its slot yet. The inner error is that of the node's answer.
    pub(super) async fn ask(
        &self,
        server: &StoreServer,
        command: &Cmd,
    ) -> Result<RedisResult<Value>, StoreError> {
        let mut open = self.open_at(server).await?;
        // It is about the next command of the connection, which no other command uses.
        let asking = open.connection.send_packed_command(&redis::cmd("ASKING")).await;
        if let Err(error) = asking.and_then(Value::extract_error) {
            return Ok(Err(error));
        }
        Ok(open.connection.send_packed_command(command).await)
    }

    /// Where a command belongs that this server has not made. `None` if the store is no cluster, or if the error does not say so.
    pub(super) fn redirection(&self, error: &RedisError, answered: &StoreServer) -> Option<Redirection> {
        redirection(error, self.primary.slot()?, answered)
    }

    /// Opens a connection that receives what is published.
    pub(super) async fn subscriber(&self) -> Result<Subscription, StoreError> {
        let opened = async {
            let server = self.primary.find(&self.store, self.timeout).await?;
            let messages = self.store.subscriber(&server, self.timeout).await?;
            Ok(Subscription { messages, server })
        };
        tokio::time::timeout(self.timeout, opened).await.unwrap_or_else(|_| Err(self.late()))
    }

    /// Whether this server still has the records.
    pub(super) async fn is_primary(&self, server: &StoreServer) -> Result<bool, StoreError> {
        self.primary.is(server, &self.store, self.timeout).await
    }

    pub(super) fn late(&self) -> StoreError {
        StoreError(format!("it did not answer within {} s", self.timeout.as_secs_f64()))
    }

    /// Whether another server may have the records at any time.
    pub(super) fn is_replaceable(&self) -> bool {
        matches!(self.primary, Primary::Named(_))
    }

    /// The limit on one step.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}
