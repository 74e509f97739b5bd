//! The end of the process: drain, stop, and stop after an upgrade.

use std::time::Duration;

use tokio::time::Instant;

use super::app::App;
use super::worker::Worker;

/// How long a process that was replaced still answers on connections that are open.
const UPGRADE_LINGER: Duration = Duration::from_secs(2);

/// How long the end of the process waits for the audit log.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long there must be no request before the process counts as drained: one may have been accepted and not yet read.
const SETTLE_TIME: Duration = Duration::from_millis(20);

/// How long connections in HTTP/2 have for their last frames.
const CLOSE_TIME: Duration = Duration::from_secs(2);

impl App {
    /// Stops because another process serves on the same sockets. Callers learn it from their next response, and have
    /// `UPGRADE_LINGER` to come with another request.
    pub async fn stop_after_upgrade(&self) {
        self.plane.drain();
        self.close_listeners();
        let drain = self.state.lock().config.shutdown.drain;
        tokio::time::sleep(UPGRADE_LINGER.min(drain)).await;
        self.stop().await;
    }

    /// Stops accepting, lets requests in flight finish within `shutdown.drain`, and ends the workers.
    pub async fn stop(&self) {
        let drain = self.state.lock().config.shutdown.drain;
        let deadline = Instant::now() + drain;
        tracing::info!(
            requests.in_flight = self.plane.in_flight(),
            shutdown.drain_s = drain.as_secs_f64(),
            "draining"
        );
        self.plane.drain();
        self.close_listeners();
        // What is left at the deadline is cut below.
        let _ = tokio::time::timeout_at(deadline, self.drained()).await;
        // A token request in flight has a time limit of its own, and its answer must be written.
        self.factory.refresh_tokens.shut_down().await;
        if let Some(fleet) = &self.factory.fleet {
            fleet.shut_down().await;
        }
        self.factory.logouts.shut_down().await;
        let traces = std::mem::take(&mut self.state.lock().traces);
        traces.end().await;
        match self.plane.in_flight() {
            0 => tracing::info!("stopped"),
            aborted => tracing::warn!(
                requests.aborted = aborted,
                "stopped with requests in flight: they took longer than `shutdown.drain`"
            ),
        }
        let workers = std::mem::take(&mut self.state.lock().workers);
        workers.into_iter().for_each(Worker::end);
        if let Some(audit) = &self.runtime.current().audit {
            audit.flush(AUDIT_TIMEOUT);
        }
    }

    /// Waits until there is no request in flight, and none begins within [`SETTLE_TIME`]. Then connections in HTTP/2 have
    /// [`CLOSE_TIME`] to say goodbye.
    async fn drained(&self) {
        loop {
            self.plane.idle().await;
            tokio::time::sleep(SETTLE_TIME).await;
            if self.plane.in_flight() == 0 {
                break;
            }
        }
        let _ = tokio::time::timeout(CLOSE_TIME, self.plane.http2_closed()).await;
    }

    fn close_listeners(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        state.listeners.close();
    }
}
