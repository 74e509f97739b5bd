//! Serving as a process: start, signals, drain. Shared by `sidekey run` and `sidekey demo`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::{sd_notify, upgrade, watchdog};
use crate::app;
use crate::app::App;
use crate::config::Config;
use crate::net::listener::InheritedSockets;

/// Runs `main` on the control thread, and ends all that it spawned when it returns. Logging is set up before.
pub(super) fn block_on<T>(main: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("sidekey-control")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(main)?;
    runtime.shutdown_background();
    Ok(outcome)
}

/// A process that serves.
pub(super) struct Server {
    pub(super) app: Arc<App>,
    /// How long it continues to serve after a signal, before it drains.
    pub(super) wait_before_exit: Duration,
    /// Notified if a request asks the process to end.
    quit: Arc<Notify>,
    signals: Signals,
    replaced: Pin<Box<dyn Future<Output = ()>>>,
}

impl Server {
    /// Starts to serve, on `passed` sockets if the service manager passed some. With `upgrade`, takes over the sockets of the
    /// running process.
    pub(super) async fn start(
        config: &Config,
        passed: InheritedSockets,
        upgrade: bool,
    ) -> anyhow::Result<Self> {
        app::log_warnings(&config.warnings, &[]);
        app::raise_descriptor_limit();
        let signals = Signals::new()?;
        let app = upgrade::start(config, upgrade, passed).await?;
        let replaced = Box::pin(upgrade::offer(config.upgrade_sock.as_deref(), &app));
        Ok(Self { app, signals, replaced, wait_before_exit: Duration::ZERO, quit: Arc::default() })
    }

    /// Lets a request to the admin address end the process.
    pub(super) fn allow_quit(&self) {
        self.app.allow_quit(self.quit.clone());
    }

    /// Serves until a signal or a new process ends it, then drains.
    pub(super) async fn run(mut self) {
        sd_notify::ready();
        let app = self.app.clone();
        let mut watchdog = Box::pin(watchdog::notify(&app));
        let signal = loop {
            tokio::select! {
                () = &mut watchdog => {}
                () = self.quit.notified() => break None,
                () = &mut self.replaced => {
                    tracing::info!("replaced by a new process");
                    return self.app.stop_after_upgrade().await;
                }
                _ = self.signals.terminate.recv() => break Some("SIGTERM"),
                _ = self.signals.interrupt.recv() => break Some("SIGINT"),
                _ = self.signals.user2.recv() => upgrade::spawn_new_process(),
                _ = self.signals.hangup.recv() => reload(&self.app),
            }
        };
        sd_notify::stopping();
        if let Some(name) = signal {
            tracing::info!(signal = name, "received {name}, shutting down");
            tokio::select! {
                () = self.wait() => {}
                () = &mut watchdog => {}
            }
        } else {
            tracing::info!("asked by POST /quit, shutting down");
        }
        // A second signal ends the process at once.
        tokio::select! {
            () = self.app.stop() => {}
            _ = self.signals.terminate.recv() => {}
            _ = self.signals.interrupt.recv() => {}
        }
    }

    /// Continues to serve for a while. Another signal or a request ends that.
    async fn wait(&mut self) {
        if self.wait_before_exit.is_zero() {
            return;
        }
        tracing::info!(wait_s = self.wait_before_exit.as_secs_f64(), "serving until the app has ended");
        tokio::select! {
            () = tokio::time::sleep(self.wait_before_exit) => {}
            () = self.quit.notified() => {}
            _ = self.signals.terminate.recv() => {}
            _ = self.signals.interrupt.recv() => {}
        }
    }
}

fn reload(app: &App) {
    tracing::info!(signal = "SIGHUP", "received SIGHUP, reloading");
    let reloader = app.reloader();
    sd_notify::reloading();
    tokio::spawn(async move { sd_notify::reloaded(reloader.reload_now().await.is_ok()) });
}

/// The signals that the process handles.
struct Signals {
    /// Sent by Kubernetes, systemd and `docker stop`.
    terminate: Signal,
    /// Sent by Ctrl-C.
    interrupt: Signal,
    /// Requests a reload.
    hangup: Signal,
    /// Requests an upgrade.
    user2: Signal,
    /// A limit on the size of files (LimitFSIZE) ends a process that has no handler; with one, the write fails.
    _file_size: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user2: signal(SignalKind::user_defined2())?,
            _file_size: signal(SignalKind::from_raw(nix::libc::SIGXFSZ))?,
        })
    }
}
