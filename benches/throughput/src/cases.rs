//! What is measured.

use crate::proxies::Kind;

/// One way of asking.
pub struct Case {
    pub name: &'static str,
    pub kind: Kind,
    pub path: &'static str,
    /// About half a second of a fast proxy.
    pub requests: usize,
    /// Bytes that each request carries.
    pub body: usize,
    /// Requests at once: connections, or streams over an eighth as many connections.
    pub at_once: usize,
}

impl Case {
    pub fn is_grpc(&self) -> bool {
        self.path.starts_with("/grpc/")
    }

    /// Whether each request takes a new connection to the upstream.
    pub fn opens_connections(&self) -> bool {
        self.path == "/close"
    }

    const fn at_once(self, at_once: usize) -> Self {
        Self { at_once, ..self }
    }
}

const fn case(name: &'static str, kind: Kind, path: &'static str, requests: usize, body: usize) -> Case {
    Case { name, kind, path, requests, body, at_once: CONCURRENCY }
}

/// Requests at once in most cases.
pub const CONCURRENCY: usize = 64;

pub const ALL: [Case; 24] = [
    case("get-1k", Kind::Plain, "/1k", 20_000, 0),
    case("get-1k-oauth2", Kind::OAuth2, "/1k", 20_000, 0),
    case("get-1k-token-each-second", Kind::Renewed, "/1k", 60_000, 0),
    case("get-1k-1000-services", Kind::Many, "/1k", 20_000, 0),
    case("get-1k-while-reloading", Kind::Reloaded, "/1k", 60_000, 0),
    case("get-1k-tls", Kind::Tls, "/1k", 15_000, 0),
    case("get-1k-new-tls", Kind::Tls, "/close", 1_500, 0),
    case("new-tls-from-callers", Kind::CallerTls, "/1k", 1_600, 0),
    case("get-1k-new-tls-8", Kind::Tls, "/close", 1_500, 0).at_once(8),
    case("get-64k-1", Kind::Plain, "/64k", 6_000, 0).at_once(1),
    case("get-64k-4", Kind::Plain, "/64k", 6_000, 0).at_once(4),
    case("get-64k-16", Kind::Plain, "/64k", 6_000, 0).at_once(16),
    case("get-64k", Kind::Plain, "/64k", 6_000, 0),
    case("get-64k-tls", Kind::Tls, "/64k", 4_000, 0),
    case("get-1m-1", Kind::Plain, "/1m", 600, 0).at_once(1),
    case("get-1m-4", Kind::Plain, "/1m", 600, 0).at_once(4),
    case("get-1m-16", Kind::Plain, "/1m", 600, 0).at_once(16),
    case("get-1m", Kind::Plain, "/1m", 600, 0),
    case("get-1m-tls", Kind::Tls, "/1m", 300, 0),
    case("post-16k", Kind::Plain, "/1k", 12_000, 16 * 1024),
    case("get-1k-h2c", Kind::H2c, "/1k", 15_000, 0),
    case("get-1k-h2-upstream", Kind::H2Upstream, "/1k", 10_000, 0),
    case("grpc-unary", Kind::Grpc, "/grpc/unary", 10_000, 105),
    case("grpc-100-messages", Kind::Grpc, "/grpc/stream", 400, 105),
];
