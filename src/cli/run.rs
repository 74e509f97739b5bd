//! `sidekey run`: the proxy.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::config_arg::{ConfigArg, usable};
use super::exit::{EXIT_USAGE, cannot_start};
use super::restrict::restrict;
use super::serve;
use super::serve::Server;
use crate::app;
use crate::config::reader::duration;
use crate::config::{Config, LastGood};
use crate::credential::READERS;
use crate::hardening::InForce;
use crate::logging;
use crate::net::socket_activation;
use crate::secret::SecretCache;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Take over the sockets of the running process, through `upgrade_sock`. That process drains and ends.
    #[arg(long)]
    upgrade: bool,
    /// How long to continue to serve after SIGTERM, before the drain. For a sidecar that gets SIGTERM together with its app.
    #[arg(
        long,
        value_name = "DURATION",
        env = "SIDEKEY_WAIT_BEFORE_EXIT",
        value_parser = duration::parse,
        default_value = "0s"
    )]
    wait_before_exit: Duration,
    /// Drain and end after `POST /quit` at the admin address, from this machine or with the admin token. For the sidecar of a Job.
    #[arg(long, env = "SIDEKEY_ALLOW_QUIT")]
    allow_quit: bool,
}

/// Serves until SIGTERM or SIGINT, and reloads the configuration when its files change.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(super) fn run(args: &Args) -> ExitCode {
    if args.config.config == Path::new("-") {
        eprintln!("a configuration from standard input cannot be reloaded: write it to a file");
        return ExitCode::from(EXIT_USAGE);
    }
    // Before a secret is read, and before there are threads.
    let in_force = restrict(&args.config.config);
    let secrets = Arc::new(SecretCache::default());
    let config = match usable(&args.config.config, &secrets) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match run_server(args, config, secrets, in_force.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_start(&error),
    }
}

fn run_server(
    args: &Args,
    config: Config,
    secrets: Arc<SecretCache>,
    in_force: Option<&InForce>,
) -> anyhow::Result<()> {
    let log = logging::init(&config.log, app::ACCEPT_LOG)?;
    tracing::info!(
        sidekey.version = env!("CARGO_PKG_VERSION"),
        config.file = %args.config.config.display(),
        services.count = config.services.len() + config.inactive.len(),
        services.inactive = config.inactive.len(),
        "starting"
    );
    if let Some(in_force) = in_force {
        in_force.log();
    } else {
        tracing::info!("process not hardened");
    }
    // Before there are threads: it removes variables from the environment.
    let passed = socket_activation::passed()?;
    serve::block_on(async move {
        let mut server = Server::start(&config, passed, args.upgrade).await?;
        server.wait_before_exit = args.wait_before_exit;
        if args.allow_quit {
            server.allow_quit();
        }
        // Its secrets stay in memory otherwise, also after a reload has replaced them.
        drop(config);
        let (path, cache, at_end) = (args.config.config.clone(), secrets.clone(), secrets.clone());
        let read = move |last_good: &LastGood| Config::load_usable(&path, &cache, READERS, Some(last_good));
        server.app.manage(args.config.config.clone(), secrets.clone());
        server.app.watch(Box::new(read), secrets, log);
        server.run().await;
        let _ = tokio::task::spawn_blocking(move || at_end.close()).await;
        Ok(())
    })
}
