//! `sidekey login SERVICE`: obtains the consent of a user, once, for a service whose grant needs it. The refresh token that is
//! issued goes into `state.dir`, where a running Sidekey finds it.

mod browser;
mod device;
mod manual;
mod page;
mod redirect;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use url::Url;

use super::{EXIT_USAGE, load};
use crate::config::{AuthorizationCode, Config, Grant, OAuth2, TokenUrl};
use crate::net::dns::Resolver;
use crate::oauth2::client::endpoint::TokenEndpoint;
use crate::oauth2::grants::AuthorizationRequest;
use crate::oauth2::refresh_tokens::{Identity, StateDir, StateFile, StateRecord};
use crate::oauth2::{LoginEndpoint, TokenResponse};
use crate::secret::Secret;
use crate::tls::client::TlsClients;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service, by its name under `services`.
    service: String,
    /// Ask for the address that the browser ends at, instead of waiting for a browser on this machine (authorization code).
    #[arg(long)]
    no_browser: bool,
    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    #[command(flatten)]
    config: super::ConfigArg,
}

/// Logs in, or reports why not.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a person reads it")]
pub(super) fn login(args: &Args) -> ExitCode {
    let config = match load(&args.config.config, &crate::secret::CommandCache::default()) {
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

/// Where the refresh token is stored.
struct LoginStore {
    file: StateFile,
}

impl LoginStore {
    /// Writes the refresh token. The access token is not stored.
    async fn save(&self, issued: &TokenResponse) -> anyhow::Result<()> {
        let Some(refresh_token) = issued.refresh_token.clone() else {
            bail!(
                "the provider issued no refresh token, so the login would end with its first token. How to request one depends \
                 on the provider: the scope `offline_access`, or `authorization_params` such as \
                 `access_type: offline` or `prompt: consent`"
            );
        };
        let lock = self.file.lock().await?;
        self.file.save(&lock, &StateRecord::login(refresh_token)).context("cannot store the login")
    }
}

impl Login {
    fn new(config: &Config, args: &Args) -> anyhow::Result<Self> {
        let Some(service) = config.services.iter().find(|service| service.name == args.service) else {
            let names: Vec<_> = config.services.iter().filter_map(needs_login).collect();
            bail!("no service has the name `{}`. {}", args.service, list(&names));
        };
        let Some(oauth2) = service.auth.settings::<OAuth2>() else {
            bail!(
                "`{}` has a credential of `type: {}`, which needs no login",
                service.name,
                service.auth.kind()
            )
        };
        if needs_login(service).is_none() {
            bail!("`{}` has `grant_type: {}`, which needs no login", service.name, oauth2.grant.as_str())
        }
        let oauth2 = Box::new(oauth2.clone());
        let Some(state) = &config.state else {
            bail!(
                "the configuration has no `state`, which is where a login is stored; add `state: {{ dir: …, key: … }}`"
            )
        };
        let file = StateDir::open(state)?.file(&Identity::of(&oauth2));
        Ok(Self {
            config: oauth2,
            store: LoginStore { file },
            no_browser: args.no_browser,
            wait: Duration::from_secs(args.wait),
        })
    }

    /// Logs in. Returns the scope that was granted, if the provider states it.
    async fn run(&self) -> anyhow::Result<Option<String>> {
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

/// Exchanges the code for tokens, and stores the refresh token.
async fn finish(
    request: &AuthorizationRequest,
    endpoint: &TokenEndpoint,
    code: &Secret,
    store: &LoginStore,
) -> anyhow::Result<Option<String>> {
    let issued = request.exchange(endpoint, code).await?;
    store.save(&issued).await?;
    Ok(issued.scope)
}

/// The URL that the user is sent to.
async fn authorization_url(grant: &AuthorizationCode, endpoint: &TokenEndpoint) -> anyhow::Result<Url> {
    let configured = grant.authorization_url.as_ref();
    Ok(endpoint.login_endpoint(configured, LoginEndpoint::Authorization).await?)
}

/// The issuer identifier, if it is configured: an authorization response that names another one is rejected (RFC 9207).
fn issuer(config: &OAuth2) -> Option<&str> {
    match &config.token_url {
        TokenUrl::Issuer(issuer) => Some(issuer.as_str()),
        TokenUrl::Endpoint(_) => None,
    }
}

fn needs_login(service: &crate::config::ServiceConfig) -> Option<&str> {
    let oauth2 = service.auth.settings::<OAuth2>()?;
    oauth2.grant.needs_login().then_some(service.name.as_str())
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "No service of this configuration needs a login".into(),
        names => format!("Those that need a login: {}", names.join(", ")),
    }
}
