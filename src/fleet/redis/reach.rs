//! Servers, and connections to them: Sidekey's own sockets and TLS, and the library's protocol.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::task::AbortHandle;

use super::errors::explain;
use crate::config::{StoreServer, Tls};
use crate::fleet::store::{BuildError, StoreError};
use crate::net::dns::Resolver;
use crate::secret::Secret;
use crate::tls::client::{TlsClient, TlsClients, server_name};
use crate::upstream::ConnectProbe;

/// Most servers that are remembered. The store itself may name others.
const MAX_KNOWN: usize = 64;

/// How servers of one sort are reached.
pub(super) struct Reach {
    tls: Option<(Arc<TlsClient>, Tls)>,
    /// Whether servers of other machines may be reached without TLS.
    allows_plaintext: bool,
    login: RedisConnectionInfo,
    resolver: Resolver,
    known: Mutex<HashMap<StoreServer, Arc<ConnectProbe>>>,
}

/// An open connection. Its driver ends with it.
pub(super) struct Open {
    pub(super) connection: MultiplexedConnection,
    pub(super) server: StoreServer,
    driver: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The configuration of servers of one sort.
#[derive(Clone, Copy)]
pub(super) struct Sort<'a> {
    /// Those that are known. Others may be named later.
    pub(super) servers: &'a [StoreServer],
    /// `None`: without TLS.
    pub(super) tls: Option<&'a Tls>,
    /// Whether servers of other machines may be reached without it.
    pub(super) allows_plaintext: bool,
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a Secret>,
    pub(super) database: u16,
}

impl Reach {
    /// Prepares connections. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// If a file of TLS cannot be read, or a name cannot be verified.
    pub(super) fn new(sort: &Sort<'_>, tls: &TlsClients, resolver: &Resolver) -> Result<Self, BuildError> {
        let mut login = RedisConnectionInfo::default()
            .set_db(sort.database.into())
            .set_lib_name("sidekey", env!("CARGO_PKG_VERSION"));
        if let Some(username) = sort.username {
            login = login.set_username(username);
        }
        if let Some(password) = sort.password {
            login = login.set_password(password.expose());
        }
        let reach = Self {
            tls: sort
                .tls
                .map(|of_sort| tls.client(of_sort).map(|client| (client, of_sort.clone())))
                .transpose()?,
            allows_plaintext: sort.allows_plaintext,
            login,
            resolver: resolver.clone(),
            known: Mutex::default(),
        };
        for server in sort.servers {
            reach.server(server)?;
        }
        Ok(reach)
    }

    /// The server, which may be one that another server has named.
    fn server(&self, server: &StoreServer) -> Result<Arc<ConnectProbe>, StoreError> {
        if let Some(known) = self.known.lock().get(server) {
            return Ok(known.clone());
        }
        let tls = match &self.tls {
            None if self.allows_plaintext || server.host.is_loopback() => None,
            None => {
                return Err(StoreError(format!(
                    "{server} would be sent the password unencrypted; use `rediss://`, or allow it with `allow_plaintext: true`"
                )));
            }
            Some((client, tls)) => {
                let name = server_name(&server.host, tls);
                let name =
                    name.map_err(|_| StoreError(format!("TLS cannot verify the host name of {server}")))?;
                Some((client.clone(), name))
            }
        };
        let to = (server.host.clone(), server.port);
        let probe = Arc::new(ConnectProbe::new(to, tls, None, self.resolver.clone()));
        let mut known = self.known.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(server.clone(), probe.clone());
        Ok(probe)
    }

    /// Opens a connection for commands.
    pub(super) async fn open(&self, server: &StoreServer, limit: Duration) -> Result<Open, StoreError> {
        let stream = self.server(server)?.open(limit).await.map_err(|error| StoreError(error.to_string()))?;
        let options = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&self.login, stream, options).await;
        let (connection, driver) = opened.map_err(|error| explain(&error))?;
        let driver = tokio::spawn(driver).abort_handle();
        Ok(Open { connection, server: server.clone(), driver })
    }

    /// Opens a connection that receives what is published.
    pub(super) async fn subscriber(
        &self,
        server: &StoreServer,
        limit: Duration,
    ) -> Result<PubSub, StoreError> {
        let stream = self.server(server)?.open(limit).await.map_err(|error| StoreError(error.to_string()))?;
        PubSub::new(&self.login, stream).await.map_err(|error| explain(&error))
    }
}
