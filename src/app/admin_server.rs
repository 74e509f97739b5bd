//! The admin listener, on the control thread.

use crate::admin::Admin;
use crate::net::listener::{Listener, TokioListener};

/// The admin pages, and where they are to be served.
pub(super) struct Pages {
    pub(super) listener: Listener,
    pub(super) admin: Admin,
}

impl Pages {
    /// Serves them for as long as the process lives.
    pub(super) fn serve(self) -> anyhow::Result<()> {
        let router = self.admin.router();
        match self.listener.into_tokio()? {
            TokioListener::Tcp(socket) => tokio::spawn(async move { axum::serve(socket, router).await }),
            TokioListener::Unix(socket) => tokio::spawn(async move { axum::serve(socket, router).await }),
        };
        Ok(())
    }
}
