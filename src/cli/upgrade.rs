//! A new binary in place of the running one: both sides of the command line's part in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;

use crate::app::App;
use crate::config::Config;
use crate::net::fd_transfer;
use crate::net::fd_transfer::OldProcess;
use crate::net::listener::InheritedSockets;

/// The new process waits so long for its first tokens before it serves.
const FIRST_TOKENS: Duration = Duration::from_secs(30);

/// Starts, on the sockets of the process that runs where there is one; that one is relieved once this one serves.
///
/// `passed` is what a service manager listens at; a process that runs has the same sockets.
pub(super) async fn start(
    config: &Config,
    take_over: bool,
    mut passed: InheritedSockets,
) -> anyhow::Result<Arc<App>> {
    let Some((mut inherited, old_process)) = (if take_over { ask(config)? } else { None }) else {
        return App::start_on(config, &mut passed);
    };
    let app = App::start_upgrade(config, &mut inherited, FIRST_TOKENS).await?;
    old_process.confirm_ready().context("the old process cannot be told that it is relieved")?;
    tracing::info!("took over from the old process");
    Ok(app)
}

fn ask(config: &Config) -> anyhow::Result<Option<(InheritedSockets, OldProcess)>> {
    let path =
        config.upgrade_sock.as_deref().context("`--upgrade` needs `upgrade_sock` in the configuration")?;
    match fd_transfer::receive_sockets(path) {
        Ok(both) => Ok(Some(both)),
        Err(error) if is_nobody(&error) => {
            tracing::warn!("no process offers sockets at {}: starting without an upgrade", path.display());
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("cannot take over at {}", path.display())),
    }
}

fn is_nobody(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
}

/// Offers the sockets to the process that comes next, where the configuration says so; resolves when it serves.
pub(super) fn offer(path: Option<&Path>, app: &Arc<App>) -> impl Future<Output = ()> + use<> {
    let (relieved, is_relieved) = oneshot::channel();
    if let Some(path) = path {
        let app = app.clone();
        let offered = fd_transfer::serve_sockets(path, Box::new(move || app.sockets()), move || {
            let _ = relieved.send(());
        });
        if let Err(error) = offered {
            tracing::error!("cannot offer sockets at {}, so no upgrade is possible: {error}", path.display());
        }
    }
    async move {
        // Dropped where nothing is offered.
        if is_relieved.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Starts the binary that stands now where this one was started from, to take over.
pub(super) fn spawn() {
    let mut arguments = std::env::args_os();
    let Some(program) = arguments.next() else { return };
    let arguments: Vec<_> = arguments.filter(|argument| argument != "--upgrade").collect();
    match std::process::Command::new(&program).args(arguments).arg("--upgrade").spawn() {
        Ok(mut child) => {
            tracing::info!(process.id = child.id(), "started a new process to take over");
            // Waited for, so that one that fails is no zombie.
            std::thread::spawn(move || match child.wait() {
                Ok(status) => tracing::error!("the new process has ended ({status}); this process continues"),
                Err(error) => tracing::error!("cannot wait for the new process: {error}"),
            });
        }
        Err(error) => tracing::error!("cannot start a new process, this process continues: {error}"),
    }
}
