//! The command: finds the service, chooses the way to log in, and prints the outcome.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use prometheus::Registry;

use super::store::LoginStore;
use super::{browser, device, manual};
use crate::cli::config_arg::{ConfigArg, usable};
use crate::cli::exit::EXIT_USAGE;
use crate::config::{Auth, Config, Grant, OAuth2, ServiceConfig, SharedStore};
use crate::fleet::{Fleet, Shared};
use crate::metrics::FleetMetrics;
use crate::net::dns::Resolver;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::grants;
use crate::oauth2::refresh_tokens::{Identity, StateDir};
use crate::secret::SecretCache;
use crate::tls::client::TlsClients;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The service, by its name under `services`.
    service: String,
    /// Ask for the address that the browser ends at, instead of waiting for a browser on this machine (authorization code).
    #[arg(long)]
    no_browser: bool,
    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    #[command(flatten)]
    config: ConfigArg,
}

/// Logs in, or reports why not.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads it")]
pub(in crate::cli) fn login(args: &Args) -> ExitCode {
    let config = match usable(&args.config.config, &SecretCache::default()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let login = match Login::new(&config, args) {
        Ok(login) => login,
        Err(error) => {
            eprintln!("cannot log in: {error:#}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(login.run());
        // Does not wait for a user who is still typing.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(scope) => {
            let scope = scope.map(|scope| format!(" Granted scope: {scope}.")).unwrap_or_default();
            println!("Logged in: Sidekey refreshes the tokens of `{}` from here on.{scope}", args.service);
            println!("A Sidekey that runs with this configuration uses the login within seconds.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("not logged in: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A login that is possible.
struct Login {
    config: Box<OAuth2>,
    store: LoginStore,
    no_browser: bool,
    wait: Duration,
}

impl Login {
    fn new(config: &Config, args: &Args) -> anyhow::Result<Self> {
        let Some(service) = config.services.iter().find(|service| service.name == args.service) else {
            if let Some(why) = config.why_inactive(&args.service) {
                bail!(why);
            }
            let names: Vec<_> = config.services.iter().filter_map(needs_login).collect();
            bail!("no service has the name `{}`. {}", args.service, list(&names));
        };
        let Some(oauth2) = of_login(service) else { bail!("{}", no_login(service)) };
        let oauth2 = Box::new(oauth2.clone());
        let is_it = |part: &Auth| part.settings() == Some(&*oauth2);
        let is_shared = service.auth.parts().iter().any(|part| part.is_shared() && is_it(part));
        let store = match (&config.shared, &config.state) {
            (Some(shared), _) if is_shared => LoginStore::Fleet(value(shared, &oauth2)?),
            (_, Some(state)) => LoginStore::File(StateDir::open(state)?.file(&Identity::of(&oauth2))),
            _ => bail!(
                "the configuration has no `state`, which is where a login is stored; add `state: {{ dir: …, key: … }}`"
            ),
        };
        Ok(Self { config: oauth2, store, no_browser: args.no_browser, wait: Duration::from_secs(args.wait) })
    }

    /// Logs in. Returns the scope that was granted, if the provider states it.
    async fn run(&self) -> anyhow::Result<Option<String>> {
        self.store.probe().await?;
        let tls = TlsClients::new().client(&self.config.tls)?;
        let resolver =
            Resolver::from_system().context("cannot read this machine's resolver configuration")?;
        let endpoint = TokenEndpoint::new(&self.config, tls, resolver)?;
        let work = async {
            match &self.config.grant {
                Grant::AuthorizationCode(grant) if self.no_browser => {
                    manual::login(&self.config, grant, &endpoint, &self.store).await
                }
                Grant::AuthorizationCode(grant) => {
                    browser::login(&self.config, grant, &endpoint, &self.store).await
                }
                Grant::DeviceCode(grant) => device::login(grant, &endpoint, &self.store).await,
                other => bail!("`grant_type: {}` needs no login", other.as_str()),
            }
        };
        match tokio::time::timeout(self.wait, work).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("the login was not completed within {} seconds", self.wait.as_secs()),
        }
    }
}

/// The record of the login in the shared store.
fn value(shared: &SharedStore, oauth2: &OAuth2) -> anyhow::Result<Arc<Shared>> {
    let resolver = Resolver::from_system().context("cannot read this machine's resolver configuration")?;
    let metrics = FleetMetrics::new(&Registry::new())?;
    let fleet = Fleet::new(shared, &TlsClients::new(), &resolver, metrics);
    let fleet = fleet.map_err(|error| anyhow::anyhow!("`shared`: {error}"))?;
    Ok(grants::shared(&fleet, oauth2))
}

fn needs_login(service: &ServiceConfig) -> Option<&str> {
    of_login(service).map(|_| service.name.as_str())
}

/// The credential that is obtained by a login.
fn of_login(service: &ServiceConfig) -> Option<&OAuth2> {
    service.auth.all_settings::<OAuth2>().find(|oauth2| oauth2.grant.needs_login())
}

/// Says that a service needs no login.
fn no_login(service: &ServiceConfig) -> String {
    match service.auth.settings::<OAuth2>() {
        Some(oauth2) => {
            format!("`{}` has `grant_type: {}`, which needs no login", service.name, oauth2.grant.as_str())
        }
        None => {
            format!(
                "`{}` has a credential of `type: {}`, which needs no login",
                service.name,
                service.auth.kinds()
            )
        }
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "No service of this configuration needs a login".into(),
        names => format!("Those that need a login: {}", names.join(", ")),
    }
}
