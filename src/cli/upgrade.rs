//! An upgrade without downtime: a new process takes over the sockets of the running one. Both sides of it.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;

use super::watchdog::WATCHDOG_PID;
use crate::app::App;
use crate::config::Config;
use crate::net::fd_transfer;
use crate::net::fd_transfer::OldProcess;
use crate::net::listener::InheritedSockets;

/// How long the new process waits for its first tokens before it serves.
const FIRST_TOKEN_LIMIT: Duration = Duration::from_secs(30);

/// Starts the program. With `take_over`, it takes the sockets of the running process, if there is one, and tells that process once
/// it serves.
///
/// `passed` are the sockets of a service manager; a running process has the same ones.
pub(super) async fn start(
    config: &Config,
    take_over: bool,
    mut passed: InheritedSockets,
) -> anyhow::Result<Arc<App>> {
    let Some((mut inherited, old_process)) = (if take_over { receive_sockets(config)? } else { None }) else {
        return App::start_on(config, &mut passed);
    };
    let app = App::start_upgrade(config, &mut inherited, FIRST_TOKEN_LIMIT).await?;
    old_process.confirm_ready().context("cannot tell the old process that it is replaced")?;
    tracing::info!("took over from the old process");
    Ok(app)
}

fn receive_sockets(config: &Config) -> anyhow::Result<Option<(InheritedSockets, OldProcess)>> {
    let path =
        config.upgrade_sock.as_deref().context("`--upgrade` needs `upgrade_sock` in the configuration")?;
    match fd_transfer::receive_sockets(path) {
        Ok(both) => Ok(Some(both)),
        Err(error) if is_absent(&error) => {
            tracing::warn!("no process offers sockets at {}: starting without an upgrade", path.display());
            Ok(None)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => anyhow::bail!(
            "cannot take over at {}: the running process does not answer; is another upgrade in progress?",
            path.display()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot take over at {}", path.display())),
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// Offers the sockets to a later process at `path`, if there is one; resolves when that process serves.
pub(super) fn offer(path: Option<&Path>, app: &Arc<App>) -> impl Future<Output = ()> + use<> {
    let (replaced, is_replaced) = oneshot::channel();
    if let Some(path) = path {
        let app = app.clone();
        let offered = fd_transfer::serve_sockets(path, Box::new(move || app.sockets()), move || {
            let _ = replaced.send(());
        });
        if let Err(error) = offered {
            tracing::error!("cannot offer sockets at {}, so no upgrade is possible: {error}", path.display());
        }
    }
    async move {
        // An error means that the sender was dropped: nothing is offered.
        if is_replaced.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Starts the binary that is now at the path of this one, to take over. It does nothing while an earlier one has not ended: of two, the
/// second would find the upgrade socket in use, or take over from the first.
pub(super) fn spawn_new_process() {
    static IS_STARTED: AtomicBool = AtomicBool::new(false);
    let mut arguments = std::env::args_os();
    let Some(program) = arguments.next() else { return };
    if IS_STARTED.swap(true, Ordering::Relaxed) {
        tracing::warn!("an upgrade is in progress, so that no other process is started");
        return;
    }
    let arguments: Vec<_> = arguments.filter(|argument| argument != "--upgrade").collect();
    let mut command = std::process::Command::new(&program);
    command.args(arguments).arg("--upgrade").env_remove(WATCHDOG_PID);
    match command.spawn() {
        Ok(mut child) => {
            tracing::info!(process.id = child.id(), "started a new process to take over");
            // Waited for, so that one that fails does not stay a zombie.
            std::thread::spawn(move || {
                match child.wait() {
                    Ok(status) => {
                        tracing::error!("the new process has ended ({status}); this process continues");
                    }
                    Err(error) => tracing::error!("cannot wait for the new process: {error}"),
                }
                IS_STARTED.store(false, Ordering::Relaxed);
            });
        }
        Err(error) => {
            tracing::error!("cannot start a new process, this process continues: {error}");
            IS_STARTED.store(false, Ordering::Relaxed);
        }
    }
}
