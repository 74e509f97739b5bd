//! One service without the rest: for `sidekey test`, which opens no listener.

use std::sync::Arc;

use anyhow::Context;
use prometheus::Registry;

use super::services::{Services, Workshop};
use crate::config::Config;
use crate::dns::Resolver;
use crate::metrics::Metrics;
use crate::service::Service;
use crate::tls::TlsClients;

/// Builds the service of that name and starts the refresher of its token, on the current tokio runtime. `None` where the
/// configuration has no such service.
pub fn service_alone(config: &Config, name: &str) -> anyhow::Result<Option<Arc<Service>>> {
    let mut config = config.clone();
    config.services.retain(|service| service.name == name);
    let metrics = Arc::new(Metrics::new(&Registry::new())?);
    let resolver = Resolver::from_system().context("cannot read this machine's resolver configuration")?;
    let workshop = Workshop { metrics, tls: Arc::new(TlsClients::new()), resolver };
    Ok(Services::start(&workshop, &config)?.in_order().first().cloned())
}
