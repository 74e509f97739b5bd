//! One service without the rest: for `sidekey test`, which opens no listener.

use std::sync::Arc;

use anyhow::Context;
use prometheus::Registry;

use super::services::{Services, Workshop};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::net::dns::Resolver;
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::oauth2::refresh_tokens::StateDir;
use crate::runtime::service::Service;
use crate::tls::client::TlsClients;

/// A service, and what must be done before the process ends.
pub struct Alone {
    /// The service, its token on the way.
    pub service: Arc<Service>,
    refresh_tokens: Arc<RefreshTokenRegistry>,
}

impl Alone {
    /// Waits until a refresh token that is just being exchanged is kept.
    pub async fn end(self) {
        self.refresh_tokens.shut_down().await;
    }
}

/// Builds the service of that name and starts the refresher of its token, on the current tokio runtime. `None` where the
/// configuration has no such service.
pub fn service_alone(config: &Config, name: &str) -> anyhow::Result<Option<Alone>> {
    let mut config = config.clone();
    config.services.retain(|service| service.name == name);
    let metrics = Arc::new(Metrics::new(&Registry::new())?);
    let resolver = Resolver::from_system().context("cannot read this machine's resolver configuration")?;
    let refresh_tokens =
        Arc::new(RefreshTokenRegistry::new(config.state.as_ref().map(StateDir::open).transpose()?));
    let (tls, traces) = (Arc::new(TlsClients::new()), Arc::default());
    let workshop = Workshop { metrics, tls, resolver, refresh_tokens: refresh_tokens.clone(), traces };
    let mut none = Services::default();
    let services = workshop.prepare(&none, &config)?.start(&mut none, &workshop.metrics);
    Ok(services.in_order().first().map(|service| Alone { service: service.clone(), refresh_tokens }))
}
