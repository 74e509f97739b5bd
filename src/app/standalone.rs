//! One service without the rest: for `sidekey test`, which opens no listener.

use std::sync::Arc;

use super::services::{ServiceFactory, Services};
use crate::config::Config;
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::runtime::service::Service;

/// A service outside of the proxy, and what must be done before the process ends.
pub struct StandaloneService {
    /// The service, with its first token request on the way.
    pub service: Arc<Service>,
    refresh_tokens: Arc<RefreshTokenRegistry>,
}

impl StandaloneService {
    /// Waits until a refresh token that is just being exchanged is written.
    pub async fn shut_down(self) {
        self.refresh_tokens.shut_down().await;
    }
}

/// Builds the service of that name and starts the refresher of its token, on the current tokio runtime. Returns `None` if the
/// configuration has no such service.
pub fn build_standalone(config: &Config, name: &str) -> anyhow::Result<Option<StandaloneService>> {
    let mut config = config.clone();
    config.services.retain(|service| service.name == name);
    let factory = ServiceFactory::detached(config.state.as_ref())?;
    let mut none = Services::default();
    let services = factory.prepare(&none, &config)?.start(&mut none, &factory.metrics);
    let refresh_tokens = factory.refresh_tokens;
    Ok(services
        .in_order()
        .first()
        .map(|service| StandaloneService { service: service.clone(), refresh_tokens }))
}
