//! The tools that tests are built from: the program itself, mocks with scripted responses, and real software.
//!
//! Every server binds a free port, and everything stops when its value is dropped, so that tests run in parallel and
//! leave nothing behind. A typical test:
//!
//! ```ignore
//! let upstream = MockUpstream::plain().await;
//! let sidekey = Sidekey::serving(&format!(
//!     "api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }}", upstream.url(),
//! )).start().await;
//! let response = Request::get(sidekey.url("/api/v1/x")).send().await;
//! assert_eq!(response.status, 200);
//! assert_eq!(upstream.only_request().header("authorization"), Some("Bearer t0ken"));
//! ```

// A toolbox may have a tool that no test uses today.
#![allow(dead_code, unused_imports)]

mod chaos;
mod client;
mod collector;
mod eventually;
mod fd_limit;
mod hpack;
mod http1;
mod http2;
mod load;
mod login;
mod mock_http2_upstream;
mod mock_response;
mod mock_token_endpoint;
mod mock_upstream;
mod opened_files;
mod pki;
mod port;
mod process;
mod real;
mod recorded_request;
mod secret_mount;
mod sidekey;
mod socket;
mod terminal;
mod tunnels;

pub use chaos::ChaosProxy;
pub use client::{Connection, Request, Response, Version};
pub use collector::{TraceCollector, TraceSpan};
pub use eventually::assert_eventually;
pub use fd_limit::allow_descriptors;
pub use hpack::{HpackReader, Representation, WireField};
pub use http1::Fields;
pub use http2::{
    Frame, Frames, Http2, Http2Response, Http2Stream, fields, flag, frame, get, part, post, rest,
};
pub use load::{Load, Outcome};
pub use login::Login;
pub use mock_http2_upstream::{Http2Request, MockHttp2Upstream};
pub use mock_response::{Gate, MockResponse};
pub use mock_token_endpoint::{MockTokenEndpoint, MockTokenResponse, TokenRequest, fraction_of_second};
pub use mock_upstream::MockUpstream;
pub use opened_files::OpenedFiles;
pub use pki::{CertificateFiles, Pki};
pub use port::{RefusingPort, free as free_port};
pub use process::{Process, run};
pub use real::{
    AiohttpApi, Alertmanager, Apache, ApiAnswer, Browser, Caddy, Curl, CurlResponse, CurlSession, Django,
    DockerRegistry, GitServer, GoClient, GrpcServer, Httpbin, ISSUER, Kubernetes, Machine, Moto, Nghttpd,
    Nginx, OidcProvider, OpenBao, Prometheus, Redis, RedisCluster, RedisSentinels, Settings, SignedRequest,
    StoreServer, containers, git, grpc_calls, helm, helm_with, http_signatures_verify, http2_websocket,
    httpx_calls, installed, java_calls, jose_sign, jose_verify, kubectl, kubectl_kustomize,
    kubernetes_validate, node_clients, openapi_holds, openssl, otlp_decode, promtool_check_metrics,
    python_clients, python_requests, tool,
};
pub use recorded_request::RecordedRequest;
pub use secret_mount::{SecretMount, UpdateStyle};
pub use sidekey::{Builder as SidekeyBuilder, Sidekey};
pub use terminal::Terminal;
pub use tunnels::Tunnels;

use std::time::Duration;

/// Limit of each wait: nothing in a test takes this long unless something hangs.
pub const TIMEOUT: Duration = Duration::from_secs(30);
