//! `sidekey run`: serve until told to stop.

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArg, cannot_start, load, sd_notify, upgrade};
use crate::app;
use crate::app::App;
use crate::config::Config;
use crate::credential::AUTH_KINDS;
use crate::logging;
use crate::net::socket_activation;
use crate::secret::CommandCache;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Take over the sockets of the process that runs, by `upgrade_sock`; that one drains and ends.
    #[arg(long)]
    upgrade: bool,
}

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(args: &Args) -> ExitCode {
    let path = &args.config.config;
    let commands = Arc::new(CommandCache::default());
    let config = match load(path, &commands) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let source = path.clone();
    let watch = |log| {
        move |app: &Arc<App>| {
            let known = commands.clone();
            app.watch(Box::new(move || Config::load_with(&source, &known, AUTH_KINDS)), commands, log);
        }
    };
    let served = logging::init(&config.log, app::ACCEPT_LOG).map_err(Into::into);
    match served.and_then(|log| serve(&config, args.upgrade, watch(log))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_start(&error),
    }
}

/// Starts, calls `started`, and serves until a signal says to stop. Logging is set up before.
pub(super) fn serve(config: &Config, take_over: bool, started: impl FnOnce(&Arc<App>)) -> anyhow::Result<()> {
    for warning in &config.warnings {
        tracing::warn!(
            config.path = warning.path,
            config.line = warning.line,
            "configuration warning: {}",
            warning.message
        );
    }
    app::raise_descriptor_limit();
    let passed = socket_activation::passed()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("sidekey-control")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // A limit on the size of files (LimitFSIZE) ends a process that has no handler; with one, the write fails.
        let _file_size = signal(SignalKind::from_raw(nix::libc::SIGXFSZ))?;
        // Kubernetes, systemd and `docker stop` send SIGTERM; a person at a terminal sends SIGINT.
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (mut hup, mut usr2) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined2())?);
        let app = upgrade::start(config, take_over, passed).await?;
        let mut relieved = pin!(upgrade::offer(config.upgrade_sock.as_deref(), &app));
        started(&app);
        sd_notify::serving();
        let name = loop {
            tokio::select! {
                _ = term.recv() => break "SIGTERM",
                _ = int.recv() => break "SIGINT",
                () = &mut relieved => {
                    tracing::info!("replaced by a new process");
                    app.stop_after_upgrade().await;
                    return Ok(());
                }
                _ = usr2.recv() => upgrade::spawn(),
                _ = hup.recv() => {
                    tracing::info!(signal = "SIGHUP", "received SIGHUP, reloading");
                    let reloader = app.reloader();
                    sd_notify::reloading();
                    tokio::spawn(async move { sd_notify::reloaded(reloader.reload_now().await.is_ok()) });
                }
            }
        };
        tracing::info!(signal = name, "received {name}, shutting down");
        sd_notify::stopping();
        // A second signal does not wait for anybody.
        tokio::select! {
            () = app.stop() => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        anyhow::Ok(())
    })?;
    runtime.shutdown_background();
    Ok(())
}
