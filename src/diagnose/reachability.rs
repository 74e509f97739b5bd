//! Probes whether the servers of a configuration can be reached: DNS, TCP, TLS. No request is sent.

use std::time::Duration;

use futures_util::StreamExt;

use super::explain;
use super::role::Role;
use super::warnings;
use crate::upstream::ConnectProbe;

/// The number of servers probed at a time.
const MAX_CONCURRENT_PROBES: usize = 16;

/// A server to probe: one of a service, or that of `tracing`.
pub struct ProbeTarget {
    /// The service's name, or `tracing`.
    pub service: String,
    /// The role of the server.
    pub role: Role,
    /// Host and port.
    pub host: String,
    /// How to connect to it; `None` if that cannot be known, because `upstream` is a wildcard.
    pub probe: Option<ConnectProbe>,
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
    /// Whether there was a server to connect to.
    pub is_probed: bool,
    /// Why the server could not be reached, and what to change; `None` if it was reached.
    pub problem: Option<String>,
    /// The certificate that the server presented: when it ends, and what to do if that is soon.
    pub certificate: Option<PresentedCertificate>,
    /// What should be changed at the server, although it can be used; or why it was not probed.
    pub note: Option<String>,
}

/// The certificate that a server presented.
#[derive(Debug)]
pub struct PresentedCertificate {
    /// When it ends, as RFC 3339.
    pub end: String,
    /// What to do, if it ends soon.
    pub warning: Option<String>,
}

/// Probes every server. The results are in the order of the targets.
pub async fn probe_all(targets: Vec<ProbeTarget>) -> Vec<ProbeResult> {
    futures_util::stream::iter(targets).map(probe_one).buffered(MAX_CONCURRENT_PROBES).collect().await
}

async fn probe_one(target: ProbeTarget) -> ProbeResult {
    let ProbeTarget { service, role, host, probe, limit } = target;
    let Some(probe) = probe else {
        let note = format!(
            "a wildcard has no address of its own; `sidekey test {service} https://HOST/PATH` calls one of its hosts"
        );
        let is_probed = false;
        return ProbeResult {
            service,
            role,
            host,
            is_probed,
            problem: None,
            certificate: None,
            note: Some(note),
        };
    };
    let problem = probe.probe(limit).await.err().map(|error| explain::unreachable(&error, role));
    let certificate = probe.certificate_end().map(|end| PresentedCertificate {
        end: warnings::date(end),
        warning: warnings::certificate(role.as_str(), end),
    });
    ProbeResult { service, role, host, is_probed: true, problem, certificate, note: None }
}
