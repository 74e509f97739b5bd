//! `sidekey run`: serve until told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{cannot_start, load};
use crate::app::App;
use crate::config::Config;
use crate::secret::Commands;
use crate::telemetry;

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(path: &Path) -> ExitCode {
    let commands = Arc::new(Commands::default());
    let config = match load(path, &commands) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let source = path.to_owned();
    let watch = |log| {
        move |app: &Arc<App>| {
            let known = commands.clone();
            app.watch(Box::new(move || Config::load_with(&source, &known)), commands, log);
        }
    };
    match telemetry::init(&config.log).map_err(Into::into).and_then(|log| serve(&config, watch(log))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_start(&error),
    }
}

/// Starts, calls `started`, and serves until a signal says to stop. Logging is set up before.
pub(super) fn serve(config: &Config, started: impl FnOnce(&Arc<App>)) -> anyhow::Result<()> {
    for warning in &config.warnings {
        tracing::warn!(config.path = warning.path, config.line = warning.line, "{}", warning.message);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("sidekey-control")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Kubernetes, systemd and `docker stop` send SIGTERM; a person at a terminal sends SIGINT.
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hup = signal(SignalKind::hangup())?;
        let app = App::start(config)?;
        started(&app);
        let name = loop {
            tokio::select! {
                _ = term.recv() => break "SIGTERM",
                _ = int.recv() => break "SIGINT",
                _ = hup.recv() => {
                    tracing::info!(signal = "SIGHUP", "asked to reload");
                    let reloader = app.reloader();
                    tokio::spawn(async move { reloader.reload_now().await });
                }
            }
        };
        tracing::info!(signal = name, "asked to stop");
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
