//! The admin listener, served on the control thread.

use std::future::pending;
use std::time::Duration;

use crate::admin;
use crate::admin::Admin;
use crate::config::{ListenAddress, socket_exposure};
use crate::net::http_server::{ServerLimits, serve};
use crate::net::listener::{BoundListener, TokioListener};

/// The limits of the admin listener, whose requests are small. A scraper's connection may be idle between two
/// scrapes.
const LIMITS: ServerLimits = ServerLimits {
    server: "admin",
    connections: 32,
    head_bytes: 16 * 1024,
    body_bytes: 64 * 1024,
    request_time: Duration::from_secs(10),
    idle_time: Duration::from_secs(90),
};

/// The admin API and status page with the socket they are served on.
pub(super) struct AdminServer {
    pub(super) listener: BoundListener,
    pub(super) admin: Admin,
    /// The number of connections that the limit on open files allows.
    pub(super) max_connections: usize,
}

impl AdminServer {
    /// Starts a task that serves requests for as long as the process lives.
    pub(super) fn serve(self) -> anyhow::Result<()> {
        if let ListenAddress::Unix(path) = &self.listener.address
            && let Some(warning) = socket_exposure("the admin socket", path)
        {
            tracing::warn!("the admin socket is open to others: {warning}");
        }
        let router = admin::router(self.admin);
        let limits = ServerLimits { connections: LIMITS.connections.min(self.max_connections), ..LIMITS };
        match self.listener.into_tokio()? {
            TokioListener::Tcp(socket) => tokio::spawn(serve(socket, router, limits, pending())),
            TokioListener::Unix(socket) => tokio::spawn(serve(socket, router, limits, pending())),
        };
        Ok(())
    }
}
