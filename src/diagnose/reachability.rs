//! Whether the servers of a configuration can be reached: names, addresses, TLS; nothing is asked of them.

use std::time::Duration;

use futures_util::StreamExt;

use super::explain;
use crate::upstream::ConnectProbe;

/// So many are tried at a time.
const AT_A_TIME: usize = 16;

/// What a server is to a service.
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
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::TokenEndpoint => "token endpoint",
            Self::Issuer => "issuer",
            Self::Collector => "collector",
        }
    }

    /// The key that names it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::TokenEndpoint => "token_url",
            Self::Issuer => "issuer",
            Self::Collector => "otlp_endpoint",
        }
    }
}

/// One server of one service, or of `tracing`.
pub struct Server {
    /// The service's name, or `tracing`.
    pub service: String,
    /// What it is.
    pub role: Role,
    /// Host and port.
    pub host: String,
    /// The way there.
    pub way: ConnectProbe,
    /// `timeouts.connect`, where it is a service's.
    pub limit: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Reached {
    /// The service's name, or `tracing`.
    pub service: String,
    /// What the server is.
    pub role: Role,
    /// Host and port.
    pub host: String,
    /// What is in the way, and what to change; nothing where it was reached.
    pub problem: Option<String>,
}

/// Tries every server; what came of it is in the same order.
pub async fn reach(servers: Vec<Server>) -> Vec<Reached> {
    futures_util::stream::iter(servers).map(try_one).buffered(AT_A_TIME).collect().await
}

async fn try_one(server: Server) -> Reached {
    let Server { service, role, host, way, limit } = server;
    let problem = way.probe(limit).await.err().map(|error| explain::of_unreached(&error, role));
    Reached { service, role, host, problem }
}
