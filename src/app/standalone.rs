//! One service without the rest: for `sidekey test`, which opens no listener.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::services::{ServiceFactory, Services};
use crate::admin::DraftTester;
use crate::config::Config;
use crate::credential::Logouts;
use crate::diagnose;
use crate::diagnose::TestReport;
use crate::fleet::Fleet;
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::runtime::service::Service;

/// A service outside of the proxy, and what must be done before the process ends.
pub struct StandaloneService {
    /// The service, with its first token request on the way.
    pub service: Arc<Service>,
    refresh_tokens: Arc<RefreshTokenRegistry>,
    fleet: Option<Arc<Fleet>>,
    logouts: Arc<Logouts>,
}

impl StandaloneService {
    /// Waits until a refresh token that is just being exchanged is written, and ends sessions.
    pub async fn shut_down(self) {
        self.refresh_tokens.shut_down().await;
        if let Some(fleet) = self.fleet {
            fleet.shut_down().await;
        }
        self.logouts.shut_down().await;
    }
}

/// Builds the service of that name and starts the refresher of its token, on the current tokio runtime. Returns `None` if the
/// configuration has no such service.
pub fn build_standalone(config: &Config, name: &str) -> anyhow::Result<Option<StandaloneService>> {
    let mut config = config.clone();
    config.services.retain(|service| service.name == name);
    let factory = ServiceFactory::detached(&config)?;
    let mut none = Services::default();
    let services = factory.prepare(&none, &config)?.start(&mut none, &factory.metrics);
    let ServiceFactory { refresh_tokens, fleet, logouts, .. } = factory;
    Ok(services.in_order().first().map(|service| StandaloneService {
        service: service.clone(),
        refresh_tokens,
        fleet,
        logouts,
    }))
}

/// Tests the service of that name without the proxy, in this thread. `token_limit` limits the wait for its first token.
///
/// # Errors
///
/// If the service cannot be built, or the configuration has no such service.
pub fn test_standalone(
    config: &Config,
    name: &str,
    path: &str,
    token_limit: Duration,
) -> anyhow::Result<TestReport> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let standalone = build_standalone(config, name)?.context("there is no such service")?;
        let report = diagnose::test_service(&standalone.service, path, token_limit).await;
        standalone.shut_down().await;
        Ok(report)
    })
}

/// How long a test of a change waits for the first token: a person waits for it.
const TOKEN_LIMIT: Duration = Duration::from_secs(15);

/// Tests services of configurations that are not in use.
pub(super) struct StandaloneTester;

impl DraftTester for StandaloneTester {
    fn test(&self, config: &Config, service: &str, path: &str) -> Result<TestReport, String> {
        test_standalone(config, service, path, TOKEN_LIMIT).map_err(|error| format!("{error:#}"))
    }
}
