//! One connection to the store, for all commands of a process. It is opened when it is needed, and again after a failure.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};
use tokio::time::Instant;

use super::dialer::Dialer;
use super::errors::{explain, is_answer};
use super::reach::Open;
use crate::config::StoreServer;
use crate::fleet::store::StoreError;
use crate::metrics::FleetMetrics;

/// The connection, and how the store has been lately.
pub(in crate::fleet) struct Connection {
    dialer: Arc<Dialer>,
    current: tokio::sync::Mutex<Option<Open>>,
    /// The server that was used last.
    server: Mutex<Option<StoreServer>>,
    /// Since when everything was answered.
    stable_since: Mutex<Option<Instant>>,
    metrics: FleetMetrics,
}

impl Connection {
    /// A connection that is opened when it is needed.
    pub(in crate::fleet) fn new(dialer: Arc<Dialer>, metrics: FleetMetrics) -> Self {
        Self {
            dialer,
            current: tokio::sync::Mutex::default(),
            server: Mutex::default(),
            stable_since: Mutex::default(),
            metrics,
        }
    }

    /// For how long everything was answered.
    pub(in crate::fleet) fn stable_for(&self) -> Duration {
        self.stable_since.lock().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Sends a command. A connection that was closed meanwhile is opened again once.
    pub(in crate::fleet) async fn send(&self, command: &Cmd) -> Result<Value, StoreError> {
        let began = Instant::now();
        let outcome = tokio::time::timeout(self.dialer.timeout(), self.try_twice(command)).await;
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
        *self.server.lock() = Some(open.server.clone());
        let connection = open.connection.clone();
        *current = Some(open);
        Ok((connection, false))
    }

    /// Closes the connection. The next command opens another one, to the server that has the records then.
    pub(in crate::fleet) async fn close(&self) {
        *self.current.lock().await = None;
    }

    /// The server that was used last.
    pub(in crate::fleet) fn server(&self) -> Option<StoreServer> {
        self.server.lock().clone()
    }

    /// Whether the server that is used has the records. If it has not, another one is used from now on.
    pub(in crate::fleet) async fn is_current(&self) -> Result<bool, StoreError> {
        let Some(server) = self.server() else { return Ok(false) };
        let is_primary = tokio::time::timeout(self.dialer.timeout(), self.dialer.is_primary(&server)).await;
        let is_primary = is_primary.unwrap_or_else(|_| Err(self.dialer.late()));
        if !matches!(is_primary, Ok(true)) {
            self.close().await;
            *self.stable_since.lock() = None;
        }
        is_primary
    }
}
