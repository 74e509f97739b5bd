//! What the tests are built from: the program itself, fakes that follow a script, and real software.
//!
//! Every server binds a port that the system hands out, and everything stops when its value is dropped, so tests run
//! side by side and leave nothing behind. A usual test:
//!
//! ```ignore
//! let upstream = Upstream::plain().await;
//! let sidekey = Sidekey::serving(&format!(
//!     "api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }}", upstream.url(),
//! )).start().await;
//! let response = Call::get(sidekey.url("/api/v1/x")).send().await;
//! assert_eq!(response.status, 200);
//! assert_eq!(upstream.only_request().header("authorization"), Some("Bearer t0ken"));
//! ```

// A toolbox: it is allowed to hold a tool that no test takes today.
#![allow(dead_code, unused_imports)]

mod answer;
mod chaos;
mod client;
mod collector;
mod descriptors;
mod eventually;
mod hpack;
mod http1;
mod http2;
mod http2_upstream;
mod load;
mod login;
mod mount;
mod pki;
mod port;
mod process;
mod real;
mod request;
mod sidekey;
mod socket;
mod token_endpoint;
mod upstream;

pub use answer::{Answer, Gate};
pub use chaos::ChaosProxy;
pub use client::{Call, Connection, Response, Version};
pub use collector::{TraceCollector, TraceSpan};
pub use descriptors::allow_descriptors;
pub use eventually::assert_eventually;
pub use hpack::{HpackReader, Representation, WireField};
pub use http1::Fields;
pub use http2::{Frame, Frames, Http2, Http2Response, Http2Stream, fields, frame, get, part, post, rest};
pub use http2_upstream::{Http2Request, Http2Upstream};
pub use load::{Load, Outcome};
pub use login::Login;
pub use mount::{Mount, Way};
pub use pki::{CertificateFiles, Pki};
pub use port::{RefusingPort, free as free_port};
pub use process::{Process, run};
pub use real::{
    AiohttpApi, Browser, Caddy, Curl, CurlAnswer, CurlSession, GoClient, GrpcServer, Httpbin, Nghttpd, Nginx,
    OidcProvider, Prometheus, Settings, grpc_calls, http2_websocket, httpx_calls, installed, java_calls,
    jose_verify, node_clients, openapi_holds, openssl, otlp_decode, promtool_check_metrics, python_clients,
    python_requests, tool,
};
pub use request::Request;
pub use sidekey::{Builder as SidekeyBuilder, Sidekey};
pub use token_endpoint::{TokenAnswer, TokenEndpoint, TokenRequest, fraction_of_second};
pub use upstream::Upstream;
