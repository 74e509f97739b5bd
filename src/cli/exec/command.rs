//! The command: what its command line says, and the order of everything.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::environment::{ChildEnvironment, Facts};
use super::folder::PrivateFolder;
use super::init;
use super::launcher::Launcher;
use super::session::{EphemeralCa, Session};
use super::supervise::{Collect, Signals};
use super::trust;
use super::trust::TrustFiles;
use crate::app;
use crate::app::{App, MissingCredential};
use crate::cli::config_arg::ConfigArg;
use crate::cli::exit::{EXIT_CONFIG, EXIT_NOT_READY, EXIT_NOT_STARTED, EXIT_USAGE, cannot_start};
use crate::cli::restrict::restrict;
use crate::cli::serve;
use crate::config::reader::duration;
use crate::config::{Config, ListenAddress, Selection, secret_variables};
use crate::credential::READERS;
use crate::hardening;
use crate::logging;
use crate::logging::{LogControl, LogFile};
use crate::secret::{SecretCache, read_pem_file};

/// The level of the log if it is not in a file of its own.
const LOG_LEVEL: &str = "warn";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: that of the command, or 128 and the number of the signal that ended it. 64: wrong usage or configuration. \
                        69: a credential was not ready in time. 125: Sidekey cannot start. 126: the command cannot be executed. \
                        127: there is no such command. With 64, 69 and 125 the command was not started."
)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The services to run; every service without it. Of others no secret is read, and their hosts are like any other host.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    service: Vec<String>,
    /// Refuse requests to hosts of no service. Without it, they are passed on, without a credential.
    #[arg(long)]
    deny_unmatched: bool,
    /// Leave a variable in the command's environment although the configuration reads a secret from it.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    keep_env: Vec<OsString>,
    /// How long to wait for the credentials of the services.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    ready_timeout: Duration,
    /// Append Sidekey's log to a file. Without it, warnings and errors are on standard error.
    #[arg(long, value_name = "PATH")]
    log_file: Option<PathBuf>,
    /// The level of Sidekey's log. Default: `warn`; with --log-file that of the configuration.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    log_level: Option<String>,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn level(text: &str) -> Result<String, String> {
    crate::config::Log::check_level(text).map(|()| text.to_owned())
}

/// Runs a command behind a Sidekey of its own.
#[expect(clippy::print_stderr, reason = "a person reads it")]
pub(in crate::cli) fn exec(args: &Args) -> ExitCode {
    if args.config.config == Path::new("-") {
        eprintln!("standard input is the command's: write the configuration to a file");
        return ExitCode::from(EXIT_USAGE);
    }
    // The environment has secrets already, which the command could read below /proc.
    if let Err(error) = hardening::protect_memory() {
        eprintln!("the command could read the memory of Sidekey: {error}");
        return ExitCode::from(EXIT_NOT_STARTED);
    }
    if init::is_needed() {
        return init::run();
    }
    let prepared = Launcher::start(&args.command).context("cannot start the command").and_then(|launcher| {
        let open = |path: &PathBuf| {
            LogFile::append(path).with_context(|| format!("cannot write to {}", path.display()))
        };
        Ok((launcher, args.log_file.as_ref().map(open).transpose()?))
    });
    let (launcher, log_file) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return not_started(&error),
    };
    // The launcher is not restricted, and the log file is open.
    let _ = restrict(&args.config.config);
    let secrets = Arc::new(SecretCache::default());
    let selection = args.selection();
    let config = match Config::load_selected(&args.config.config, &selection, &secrets, READERS) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if let Some(why) = args.service.iter().find_map(|name| config.why_inactive(name)) {
        eprintln!("{why}");
        return ExitCode::from(EXIT_CONFIG);
    }
    run(args, launcher, config, selection, secrets, log_file).unwrap_or_else(|error| not_started(&error))
}

fn not_started(error: &anyhow::Error) -> ExitCode {
    cannot_start(error);
    ExitCode::from(EXIT_NOT_STARTED)
}

impl Args {
    fn selection(&self) -> Selection {
        if self.service.is_empty() {
            Selection::All
        } else {
            Selection::Named(self.service.iter().cloned().collect())
        }
    }
}

fn run(
    args: &Args,
    launcher: Launcher,
    config: Config,
    selection: Selection,
    secrets: Arc<SecretCache>,
    log_file: Option<LogFile>,
) -> anyhow::Result<ExitCode> {
    let folder = PrivateFolder::create().context("cannot create a folder for certificates")?;
    let log_level = args.log_level.clone().or_else(|| log_file.is_none().then(|| LOG_LEVEL.to_owned()));
    let ca = EphemeralCa::generate(&config)?;
    let ca_file = folder.write("sidekey-ca.crt", ca.certificate.as_bytes())?;
    let session =
        Session { intercept: ca.in_file(ca_file), denies_unmatched: args.deny_unmatched, log_level };
    let config = session.configure(config);
    let log = logging::init_in(&config.log, app::ACCEPT_LOG, log_file)?;
    app::log_warnings(&config.warnings, &[]);
    let facts = SessionFacts {
        trust: trust_files(&folder, &config)?,
        services: config
            .services
            .iter()
            .map(|service| (service.name.clone(), service.upstreams().cloned().collect()))
            .collect(),
        secrets: secret_variables(&args.config.config)?,
    };
    let path = args.config.config.clone();
    let source = move |secrets: &SecretCache| {
        Ok(session.configure(Config::load_selected(&path, &selection, secrets, READERS)?))
    };
    let code = serve::block_on(run_session(args, launcher, config, facts, secrets, log, source))?;
    // Explicitly, because it must exist as long as the command runs.
    drop(folder);
    Ok(code)
}

/// The certificates that the command trusts.
fn trust_files(folder: &PrivateFolder, config: &Config) -> anyhow::Result<TrustFiles> {
    let intercept = config.intercept.as_ref().context("a session has an interception CA")?;
    let pem = read_pem_file(&intercept.ca_cert_file, trust::MAX_BYTES)
        .with_context(|| format!("cannot read {}", intercept.ca_cert_file.display()))?;
    let ca = trust::first_certificate(&pem).context("the interception CA cannot be parsed")?;
    let parent: Vec<_> = std::env::vars_os().collect();
    let of_parent =
        |name: &str| parent.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str());
    TrustFiles::write(folder, &ca, |name| of_parent(name).filter(|value| *value != OsStr::new("")))
        .context("cannot write certificates")
}

/// What the environment of the command depends on, besides the address of the proxy.
struct SessionFacts {
    trust: TrustFiles,
    services: Vec<(String, Vec<crate::config::UpstreamUrl>)>,
    secrets: BTreeSet<String>,
}

async fn run_session(
    args: &Args,
    mut launcher: Launcher,
    config: Config,
    facts: SessionFacts,
    secrets: Arc<SecretCache>,
    log: LogControl,
    source: impl Fn(&SecretCache) -> Result<Config, crate::config::ConfigError> + Send + 'static,
) -> anyhow::Result<ExitCode> {
    app::raise_descriptor_limit();
    let mut signals = Signals::new()?;
    let app = App::start(&config)?;
    // Its secrets stay in memory otherwise, also after a reload has replaced them.
    drop(config);
    let (cache, at_end) = (secrets.clone(), secrets.clone());
    app.watch(Box::new(move |_| source(&cache)), secrets, log);
    let child = launcher.pid();
    let code = tokio::select! {
        code = signals.supervise(child, Collect::Child) => {
            launcher.has_ended();
            ExitCode::from(code)
        }
        missing = app.missing_credentials(args.ready_timeout) => {
            if missing.is_empty() {
                let environment = environment(args, &app, &facts)?;
                launcher.run(&environment.into_variables()).context("cannot start the command")?;
                ExitCode::from(signals.supervise(child, Collect::Child).await)
            } else {
                report(&missing);
                ExitCode::from(EXIT_NOT_READY)
            }
        }
    };
    app.stop().await;
    let _ = tokio::task::spawn_blocking(move || at_end.close()).await;
    Ok(code)
}

fn environment(args: &Args, app: &App, facts: &SessionFacts) -> anyhow::Result<ChildEnvironment> {
    let proxy = app.listeners().into_iter().find(|listener| listener.kind == "proxy");
    let Some(ListenAddress::Tcp(proxy)) = proxy.map(|listener| listener.address) else {
        anyhow::bail!("a session has a listener");
    };
    let environment = ChildEnvironment::new(
        std::env::vars_os(),
        &Facts {
            proxy,
            trust: &facts.trust,
            services: &facts.services,
            secrets: &facts.secrets,
            kept: &args.keep_env,
            denies_unmatched: args.deny_unmatched,
        },
    );
    for warning in &environment.warnings {
        tracing::warn!("environment of the command: {warning}");
    }
    Ok(environment)
}

#[expect(clippy::print_stderr, reason = "a person reads it")]
fn report(missing: &[MissingCredential]) {
    for MissingCredential { service, cause } in missing {
        eprintln!("service `{service}` has no credential: {cause}");
    }
    eprintln!("The command was not started. `sidekey test SERVICE` says more.");
}
