//! The admin listener, on the control thread.

use crate::admin::Admin;
use crate::listener::{Listener, TokioListener};

/// Serves the admin pages for as long as the process lives.
pub(super) fn serve(listener: Listener, admin: Admin) -> anyhow::Result<()> {
    let router = admin.router();
    match listener.into_tokio()? {
        TokioListener::Tcp(socket) => tokio::spawn(async move { axum::serve(socket, router).await }),
        TokioListener::Unix(socket) => tokio::spawn(async move { axum::serve(socket, router).await }),
    };
    Ok(())
}
