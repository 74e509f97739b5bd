//! Probes whether the servers of a configuration can be reached: DNS, TCP, TLS. No request is sent.

use std::time::Duration;

use futures_util::StreamExt;

use super::explain;
use crate::upstream::ConnectProbe;

/// The number of servers probed at a time.
const MAX_CONCURRENT_PROBES: usize = 16;

/// The part that a server plays for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `upstream`
    Upstream,
    /// `token_url`
    TokenEndpoint,
    /// `issuer`
    Issuer,
    /// `tracing.otlp_endpoint`
    Collector,
}

impl Role {
    /// The name of the role, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::TokenEndpoint => "token endpoint",
            Self::Issuer => "issuer",
            Self::Collector => "collector",
        }
    }

    /// The configuration key that names the server.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::TokenEndpoint => "token_url",
            Self::Issuer => "issuer",
            Self::Collector => "otlp_endpoint",
        }
    }
}

/// A server to probe: one of a service, or that of `tracing`.
pub struct ProbeTarget {
    /// The service's name, or `tracing`.
    pub service: String,
    /// The role of the server.
    pub role: Role,
    /// Host and port.
    pub host: String,
    /// How to connect to it.
    pub probe: ConnectProbe,
    /// The time limit: `timeouts.connect` for a server of a service.
    pub limit: Duration,
}

/// The outcome of one probe.
#[derive(Debug)]
pub struct ProbeResult {
    /// The service's name, or `tracing`.
    pub service: String,
    /// The role of the server.
    pub role: Role,
    /// Host and port.
    pub host: String,
    /// Why the server could not be reached, and what to change; `None` if it was reached.
    pub problem: Option<String>,
}

/// Probes every server. The results are in the order of the targets.
pub async fn probe_all(targets: Vec<ProbeTarget>) -> Vec<ProbeResult> {
    futures_util::stream::iter(targets).map(probe_one).buffered(MAX_CONCURRENT_PROBES).collect().await
}

async fn probe_one(target: ProbeTarget) -> ProbeResult {
    let ProbeTarget { service, role, host, probe, limit } = target;
    let problem = probe.probe(limit).await.err().map(|error| explain::unreachable(&error, role));
    ProbeResult { service, role, host, problem }
}
