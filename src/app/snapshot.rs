//! The snapshot of a configuration: what each request sees.

use std::sync::Arc;

use anyhow::Context as _;

use crate::audit::{AuditLog, AuditMetrics};
use crate::callers::CallerPolicy;
use crate::config::{Config, Unmatched};
use crate::otel::Tracer;
use crate::runtime::problem::ConfigProblem;
use crate::runtime::route::Routes;
use crate::runtime::snapshot::Snapshot;
use crate::tls::interception_ca::InterceptionCa;
use crate::upstream::PassthroughConnector;

use super::descriptor_limit;
use super::services::{ServiceFactory, Services};

/// How a `CONNECT` is answered.
pub(super) struct ConnectPolicy {
    intercept: Option<Arc<InterceptionCa>>,
    passthrough: Option<Arc<PassthroughConnector>>,
}

impl ConnectPolicy {
    /// Builds the policy of a configuration. `running` is the interception CA in use, which is kept if the configuration names
    /// the same one.
    pub(super) fn new(
        factory: &ServiceFactory,
        config: &Config,
        running: Option<Arc<InterceptionCa>>,
    ) -> anyhow::Result<Self> {
        let intercept = match (&config.intercept, running) {
            (Some(configured), Some(running)) if running.is_of(configured) => Some(running),
            (Some(configured), _) => Some(Arc::new(InterceptionCa::new(configured)?)),
            (None, _) => None,
        };
        let passthrough = match &config.unmatched {
            Unmatched::Deny => None,
            Unmatched::Tunnel(settings) => {
                Some(Arc::new(PassthroughConnector::new(settings.clone(), factory.resolver.clone())))
            }
        };
        Ok(Self { intercept, passthrough })
    }
}

/// Who may call, and where that is recorded.
pub(super) struct Access {
    pub(super) callers: Option<Arc<CallerPolicy>>,
    pub(super) audit: Option<Arc<AuditLog>>,
}

/// Makes the snapshot of a configuration and what was built from it. `before` has the problems of the one in use.
pub(super) fn snapshot(
    config: &Config,
    services: &Services,
    connect_policy: ConnectPolicy,
    tracer: Option<Arc<Tracer>>,
    access: Access,
    before: &[ConfigProblem],
) -> Snapshot {
    Snapshot {
        routes: Routes::new(&config.services, &config.inactive),
        services: services.in_order(),
        inactive: config.inactive.clone().into_boxed_slice(),
        problems: ConfigProblem::of(&config.problems, before),
        access_log: config.access_log,
        intercept: connect_policy.intercept,
        passthrough: connect_policy.passthrough,
        browser_origins: config.browser_origins.clone().into_boxed_slice(),
        downstream_timeouts: config.downstream_timeouts,
        callers: access.callers,
        audit: access.audit,
        max_connections: descriptor_limit::max_connections(config),
        tracer,
    }
}

/// The audit log of a configuration. `running` is the one in use, which is kept if the configuration has the same one.
pub(super) fn audit_log(
    running: Option<Arc<AuditLog>>,
    config: &Config,
    metrics: &AuditMetrics,
) -> anyhow::Result<Option<Arc<AuditLog>>> {
    let Some(audit) = &config.audit else { return Ok(None) };
    if let Some(running) = running.filter(|running| running.is_of(audit)) {
        return Ok(Some(running));
    }
    let path = audit.path.as_ref().map_or_else(|| "stdout".into(), |path| path.display().to_string());
    let opened = AuditLog::open(audit, metrics.clone());
    Ok(Some(Arc::new(opened.with_context(|| format!("cannot open the audit log {path}"))?)))
}
