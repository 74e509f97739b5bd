//! Real software as the peer: independent of our understanding of a protocol, which a mock only repeats.
//!
//! `make test-deps` installs all of it. A missing tool fails the test; nothing is skipped.

mod alertmanager;
mod apache;
mod browser;
mod caddy;
mod clients;
mod compiled;
mod curl;
mod django;
mod docker_registry;
mod git;
mod grpc;
mod http_signatures;
mod httpbin;
mod jose;
mod kubernetes;
mod machine;
mod manifests;
mod moto;
mod nghttpd;
mod nginx;
mod oidc;
mod openapi;
mod openbao;
mod otlp;
mod probe;
mod prometheus;
mod promtool;
mod redis;
mod redis_cluster;
mod redis_sentinel;
mod requests;

use std::path::{Path, PathBuf};

pub use alertmanager::Alertmanager;
pub use apache::Apache;
pub use browser::Browser;
pub use caddy::Caddy;
pub use clients::{AiohttpApi, Settings, http2_websocket, node_clients, python_clients};
pub use compiled::{GoClient, java_calls};
pub use curl::{Curl, CurlResponse, CurlSession};
pub use django::Django;
pub use docker_registry::DockerRegistry;
pub use git::{GitServer, git};
pub use grpc::{GrpcServer, grpc_calls, httpx_calls};
pub use http_signatures::{SignedRequest, http_signatures_verify};
pub use httpbin::Httpbin;
pub use jose::{jose_sign, jose_verify, openssl};
pub use kubernetes::{ApiAnswer, ISSUER, Kubernetes, containers};
pub use machine::Machine;
pub use manifests::{helm, helm_with, kubectl, kubectl_kustomize, kubernetes_validate};
pub use moto::Moto;
pub use nghttpd::Nghttpd;
pub use nginx::Nginx;
pub use oidc::OidcProvider;
pub use openapi::openapi_holds;
pub use openbao::OpenBao;
pub use otlp::otlp_decode;
pub use prometheus::Prometheus;
pub use promtool::promtool_check_metrics;
pub use redis::{Redis, StoreServer};
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinels;
pub use requests::python_requests;

/// The path of an installed program.
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let found =
        std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| missing(name))
}

/// A file below `tests/`.
fn tests_file(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(relative)
}

/// A file below `tests/` that `make test-deps` creates.
pub fn installed(relative: &str) -> PathBuf {
    let file = tests_file(relative);
    if file.exists() { file } else { missing(&format!("tests/{relative}")) }
}

/// A program that a Python package brings along, in the environment of this name.
fn packaged(environment: &str, program: &str) -> PathBuf {
    let lib = tests_file(&format!(".venv-{environment}/lib"));
    let versions = std::fs::read_dir(&lib).map(|entries| entries.flatten().collect::<Vec<_>>());
    let files = versions
        .unwrap_or_default()
        .into_iter()
        .map(|python| python.path().join("site-packages").join(program));
    let found = files.into_iter().find(|file| file.is_file());
    found.unwrap_or_else(|| missing(&format!("tests/.venv-{environment}")))
}

fn missing(what: &str) -> ! {
    panic!("{what} is not installed; run: make test-deps")
}
