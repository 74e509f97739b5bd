//! The admin listener, served on the control thread.

use crate::admin;
use crate::admin::Admin;
use crate::config::{ListenAddress, socket_exposure};
use crate::net::listener::{BoundListener, TokioListener};

/// The admin API and status page with the socket they are served on.
pub(super) struct AdminServer {
    pub(super) listener: BoundListener,
    pub(super) admin: Admin,
}

impl AdminServer {
    /// Starts a task that serves requests for as long as the process lives.
    pub(super) fn serve(self) -> anyhow::Result<()> {
        if let ListenAddress::Unix(path) = &self.listener.address
            && let Some(warning) = socket_exposure(path)
        {
            tracing::warn!("the admin socket is open to others: {warning}");
        }
        let router = admin::router(self.admin);
        match self.listener.into_tokio()? {
            TokioListener::Tcp(socket) => tokio::spawn(async move { axum::serve(socket, router).await }),
            TokioListener::Unix(socket) => tokio::spawn(async move { axum::serve(socket, router).await }),
        };
        Ok(())
    }
}
