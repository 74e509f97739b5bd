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
use super::redirection::Redirection;
use crate::config::StoreServer;
use crate::fleet::store::StoreError;
use crate::metrics::FleetMetrics;

/// Most nodes that are followed one after another for a command.
const MAX_REDIRECTIONS: usize = 5;
/// First and longest wait until a command is sent again whose slot is being moved.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));

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

    /// Sends a command. A connection that was closed meanwhile is opened again once. In a cluster it is sent to the node that the first
    /// one names, and again while its slot is being moved, within the limit on one step.
    pub(in crate::fleet) async fn send(&self, command: &Cmd) -> Result<Value, StoreError> {
        let began = Instant::now();
        let mut last = None;
        let outcome = tokio::time::timeout(self.dialer.timeout(), self.try_to_send(command, &mut last)).await;
        let outcome = if let Ok(outcome) = outcome {
            outcome
        } else {
            self.close().await;
            Err(last.unwrap_or_else(|| self.dialer.late()))
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

    /// Sends a command until it is answered. `last` is why that takes long.
    async fn try_to_send(&self, command: &Cmd, last: &mut Option<StoreError>) -> Result<Value, StoreError> {
        let (mut moved_to, mut ask) = (None, None);
        let (mut redirections, mut is_second, mut wait) = (0, false, TRY_AGAIN.0);
        loop {
            let (answer, server, was_open) = if let Some(server) = ask.take() {
                (self.dialer.ask(&server, command).await?, server, false)
            } else {
                let (mut connection, server, was_open) = self.connection(moved_to.take()).await?;
                (connection.send_packed_command(command).await, server, was_open)
            };
            let error = match answer.and_then(Value::extract_error) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // The steps of the store can be made twice: a lock is known by its nonce, a record by its generation.
            match self.dialer.redirection(&error, &server) {
                Some(Redirection::TryAgain) => {
                    *last = Some(explain(&error));
                    tokio::time::sleep(wait.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
                    (wait, redirections) = ((wait * 2).min(TRY_AGAIN.1), 0);
                }
                Some(_) if redirections == MAX_REDIRECTIONS => {
                    self.close().await;
                    return Err(StoreError("its nodes do not agree which of them has the records".into()));
                }
                Some(Redirection::Moved(to)) => (moved_to, redirections) = (Some(to), redirections + 1),
                Some(Redirection::Ask(to)) => (ask, redirections) = (Some(to), redirections + 1),
                None if is_answer(&error) => return Err(explain(&error)),
                None => {
                    self.close().await;
                    if is_second || !was_open {
                        return Err(explain(&error));
                    }
                    is_second = true;
                }
            }
        }
    }

    /// The connection, its server, and whether it was open already. With `moved_to` it is one to that server.
    async fn connection(
        &self,
        moved_to: Option<StoreServer>,
    ) -> Result<(MultiplexedConnection, StoreServer, bool), StoreError> {
        let mut current = self.current.lock().await;
        if let Some(open) = &*current
            && moved_to.as_ref().is_none_or(|server| *server == open.server)
        {
            return Ok((open.connection.clone(), open.server.clone(), true));
        }
        *current = None;
        *self.stable_since.lock() = None;
        let open = match &moved_to {
            Some(server) => self.dialer.open_at(server).await?,
            None => self.dialer.open().await?,
        };
        *self.server.lock() = Some(open.server.clone());
        let (connection, server) = (open.connection.clone(), open.server.clone());
        *current = Some(open);
        Ok((connection, server, false))
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
