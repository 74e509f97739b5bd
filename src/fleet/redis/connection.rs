//! One connection to the store, for all commands of a process. It is opened when it is needed, and again after a failure.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError, Value};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::config;
use crate::fleet::store::{BuildError, StoreError};
use crate::metrics::FleetMetrics;
use crate::net::dns::Resolver;
use crate::tls::client::{TlsClients, server_name};
use crate::upstream::{ConnectProbe, EndpointTls};

/// How the store is reached.
pub(in crate::fleet) struct Dialer {
    server: ConnectProbe,
    login: RedisConnectionInfo,
    timeout: Duration,
}

/// The connection, and how the store has been lately.
pub(in crate::fleet) struct Connection {
    dialer: Arc<Dialer>,
    current: tokio::sync::Mutex<Option<Open>>,
    /// Since when everything was answered.
    stable_since: Mutex<Option<Instant>>,
    metrics: FleetMetrics,
}

/// An open connection. Its driver ends with it.
struct Open {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Dialer {
    /// Prepares connections. Nothing is opened yet.
    pub(in crate::fleet) fn new(
        config: &config::SharedStore,
        tls: &TlsClients,
        resolver: &Resolver,
    ) -> Result<Self, BuildError> {
        let tls: EndpointTls = if config.url.is_tls {
            Some((tls.client(&config.tls)?, server_name(&config.url.host, &config.tls)?))
        } else {
            None
        };
        let to = (config.url.host.clone(), config.url.port);
        let server = ConnectProbe::new(to, tls, None, resolver.clone());
        let mut login = RedisConnectionInfo::default()
            .set_db(config.url.database.into())
            .set_lib_name("sidekey", env!("CARGO_PKG_VERSION"));
        if let Some(username) = &config.username {
            login = login.set_username(username);
        }
        if let Some(password) = &config.password {
            login = login.set_password(password.expose());
        }
        Ok(Self { server, login, timeout: config.timeout })
    }

    async fn open(&self) -> Result<Open, StoreError> {
        let stream = self.server.open(self.timeout).await.map_err(|error| StoreError(error.to_string()))?;
        let options = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&self.login, stream, options).await;
        let (connection, driver) = opened.map_err(|error| explain(&error))?;
        Ok(Open { connection, driver: tokio::spawn(driver).abort_handle() })
    }

    /// Opens a connection that receives what is published.
    pub(in crate::fleet) async fn subscriber(&self) -> Result<PubSub, StoreError> {
        let opened = async {
            let stream =
                self.server.open(self.timeout).await.map_err(|error| StoreError(error.to_string()))?;
            PubSub::new(&self.login, stream).await.map_err(|error| explain(&error))
        };
        tokio::time::timeout(self.timeout, opened).await.unwrap_or_else(|_| Err(self.late()))
    }

    fn late(&self) -> StoreError {
        StoreError(format!("it did not answer within {} s", self.timeout.as_secs_f64()))
    }

    /// The limit on one step.
    pub(in crate::fleet) fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl Connection {
    /// A connection that is opened when it is needed.
    pub(in crate::fleet) fn new(dialer: Arc<Dialer>, metrics: FleetMetrics) -> Self {
        Self { dialer, current: tokio::sync::Mutex::default(), stable_since: Mutex::default(), metrics }
    }

    /// For how long everything was answered.
    pub(in crate::fleet) fn stable_for(&self) -> Duration {
        self.stable_since.lock().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Sends a command. A connection that was closed meanwhile is opened again once.
    pub(in crate::fleet) async fn send(&self, command: &Cmd) -> Result<Value, StoreError> {
        let began = Instant::now();
        let outcome = tokio::time::timeout(self.dialer.timeout, self.try_twice(command)).await;
        let outcome = if let Ok(outcome) = outcome {
            outcome
        } else {
            self.close().await;
            Err(self.dialer.late())
        };
        match &outcome {
            Ok(_) => {
                self.stable_since.lock().get_or_insert(began);
            }
            Err(_) => *self.stable_since.lock() = None,
        }
        self.metrics.command_finished(outcome.is_ok(), began.elapsed());
        outcome
    }

    async fn try_twice(&self, command: &Cmd) -> Result<Value, StoreError> {
        let mut is_second = false;
        loop {
            let (mut connection, was_open) = self.connection().await?;
            let answer = connection.send_packed_command(command).await;
            let error = match answer.and_then(Value::extract_error) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if is_answer(&error) {
                return Err(explain(&error));
            }
            self.close().await;
            // The steps of the store can be made twice: a lock is known by its nonce, a record by its generation.
            if is_second || !was_open {
                return Err(explain(&error));
            }
            is_second = true;
        }
    }

    /// The connection, and whether it was open already.
    async fn connection(&self) -> Result<(MultiplexedConnection, bool), StoreError> {
        let mut current = self.current.lock().await;
        if let Some(open) = &*current {
            return Ok((open.connection.clone(), true));
        }
        *self.stable_since.lock() = None;
        let open = self.dialer.open().await?;
        let connection = open.connection.clone();
        *current = Some(open);
        Ok((connection, false))
    }

    async fn close(&self) {
        *self.current.lock().await = None;
    }
}

const REJECTED: &str = "it rejects `username` and `password` (WRONGPASS)";

/// Whether the server has answered the command, and can answer others: another server or connection would not answer otherwise.
fn is_answer(error: &RedisError) -> bool {
    match error.code() {
        // It is a replica now, or about to be one, or still starting.
        Some("READONLY" | "LOADING" | "MASTERDOWN" | "UNBLOCKED" | "CLUSTERDOWN" | "MOVED" | "ASK") => false,
        Some(_) => true,
        None => false,
    }
}

/// The error in words. Of an answer only its code is shown: the rest is text of the store's own.
fn explain(error: &RedisError) -> StoreError {
    let code =
        error.code().filter(|code| code.len() <= 16 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
    let text = match code {
        _ if error.kind() == ErrorKind::AuthenticationFailed => REJECTED.into(),
        Some("WRONGPASS") => REJECTED.into(),
        Some("NOAUTH") => "it requires a password (NOAUTH)".into(),
        Some("NOPERM") => {
            "it does not permit this user what Sidekey needs (NOPERM); docs/FLEET.md has the rule".into()
        }
        Some("OOM") => "it has no memory left (OOM)".into(),
        Some("READONLY") => "it is a replica, which cannot be written (READONLY)".into(),
        Some("LOADING") => "it is starting (LOADING)".into(),
        Some("MISCONF") => "it cannot save its data, and accepts no writes (MISCONF)".into(),
        Some("NOREPLICAS") => "it has too few replicas to accept writes (NOREPLICAS)".into(),
        Some("MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT") => {
            format!("it is a cluster, which is not supported ({})", code.unwrap_or_default())
        }
        Some(code) => format!("it answered with the error {code}"),
        None if error.is_timeout() => "it did not answer in time".into(),
        None if error.is_io_error() => "the connection was lost".into(),
        None => format!("the protocol failed ({})", error.category()),
    };
    StoreError(text)
}
