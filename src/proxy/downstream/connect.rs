//! `CONNECT` (RFC 9110 §9.3.6), which an app sends if Sidekey is its `HTTPS_PROXY`.
//!
//! - A `CONNECT` to the host of a service is intercepted: Sidekey does the TLS handshake with a certificate of the configured
//!   CA, and serves the requests inside. The credential is sent to the service's upstream, and only for requests whose `Host`
//!   and TLS name are the host of the `CONNECT`.
//! - A `CONNECT` to any other host is rejected, or becomes a tunnel.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::not_http::TLS_HANDSHAKE;
use super::prefixed_io::Prefixed;
use crate::config::Host;
use crate::metrics::MethodLabel;
use crate::net::buffer::Buffer;
use crate::proxy::access_log;
use crate::proxy::error::{ErrorReason, NO_DESCRIPTOR, ProxyError};
use crate::proxy::request::audit;
use crate::proxy::request::audit::Asked;
use crate::proxy::request::authorize::Grounds;
use crate::proxy::request::caller::{RequestCaller, identify, refused};
use crate::proxy::request::page;
use crate::proxy::request::page::CalledAddress;
use crate::proxy::request::rejection::Rejection;
use crate::proxy::session::ConnectionContext;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::ConnectHead;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{Io, RelayError};
use crate::proxy::wire::timer::ReusableTimer;
use crate::proxy::wire::tunnel;
use crate::upstream::{PassthroughError, Reserved};

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
/// The time limit for the first byte after a `CONNECT`, and for writing the response to it.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);

/// The target of a `CONNECT`.
pub(crate) struct ConnectTarget {
    /// Host and port: `host:port`.
    pub(crate) authority: String,
    pub(crate) route: Route,
    /// The credential that the caller presented.
    pub(crate) credential: Option<Zeroizing<Vec<u8>>>,
    /// The name of the caller; `None` if the configuration has no callers.
    pub(crate) caller: Option<String>,
}

/// What Sidekey does with the bytes that follow a `CONNECT`.
pub(crate) enum Route {
    /// The host is a service's: Sidekey does the TLS handshake with this configuration.
    Intercept(Arc<ServerConfig>),
    /// The host is no service's: a connection to it, and the idle timeout of the tunnel.
    Passthrough(TcpStream, Option<Duration>),
}

/// Whether a head is that of a `CONNECT`.
pub(crate) fn is_connect(head: &[u8]) -> bool {
    head.starts_with(b"CONNECT ")
}

/// Parses and routes a `CONNECT`. For a tunnel it also connects to the host.
pub(crate) async fn open(
    context: &ConnectionContext,
    bytes: &[u8],
) -> Result<ConnectTarget, Rejection<'static>> {
    let ConnectHead { host, port, page } = parse_head::connect(bytes)?;
    let authority = format!("{host}:{port}");
    let called = CalledAddress { authority: &authority, is_tls: true, is_target: true };
    let rejected =
        |failure: ProxyError| Rejection { method: MethodLabel::CONNECT, ..Rejection::from(failure) };
    page::check(context, &called, page, None).map_err(rejected)?;
    let (credential, name) = caller(context, bytes, &authority).map_err(rejected)?;
    let route = route(context, &host, port).await.map_err(rejected)?;
    Ok(ConnectTarget { authority, route, credential, caller: name })
}

/// The credential that a `CONNECT` presents, and the name of its caller.
type Presenter = (Option<Zeroizing<Vec<u8>>>, Option<String>);

/// Finds the caller of a `CONNECT`.
fn caller(context: &ConnectionContext, bytes: &[u8], authority: &str) -> Result<Presenter, ProxyError> {
    let Some(policy) = context.snapshot().callers.as_deref() else { return Ok((None, None)) };
    let found = parse_head::with_fields(bytes, |fields| {
        let found = identify(policy, context, fields)?;
        let presented = policy.presented(fields, None)?;
        let credential = presented.map(|presented| Zeroizing::new(presented.bytes().to_vec()));
        Ok((credential, found))
    })?;
    let asked = Asked { method: "CONNECT", path: Some(authority), service: "", index: None };
    match found {
        Ok((credential, caller)) => {
            audit::record(context, Some(&caller), asked, Grounds::default(), None);
            Ok((credential, Some(caller.name().to_owned())))
        }
        Err(refusal) => {
            let (unknown, error) = (RequestCaller::unknown(policy), refused(refusal, true));
            audit::record(context, Some(&unknown), asked, Grounds::default(), Some((refusal, &error)));
            Err(error)
        }
    }
}

async fn route(context: &ConnectionContext, host: &Host, port: u16) -> Result<Route, ProxyError> {
    let rejected =
        |reason, cause: &str, detail| ProxyError { detail: Some(detail), ..ProxyError::new(reason, cause) };
    if context.peer.intercepted().is_some() {
        return Err(ProxyError::new(ErrorReason::BadRequest, "CONNECT within CONNECT"));
    }
    let snapshot = context.snapshot();
    if snapshot.routes.is_service(context.dedicated_service(), &host.to_string(), port) {
        let Some(authority) = &snapshot.intercept else {
            return Err(rejected(
                ErrorReason::Forbidden,
                "CONNECT to a service's host without `intercept`",
                "The host is a service's. For HTTPS by CONNECT, Sidekey needs `intercept: { ca_cert_file, ca_key_file }` in its configuration, and the \
                 caller must trust that CA; or call the service by http://, which Sidekey turns into https://.",
            ));
        };
        let server = authority.server(&snapshot.routes.certificate_name(host)).map_err(|error| {
            tracing::error!("interception failed: {error}");
            ProxyError::new(ErrorReason::Forbidden, "no certificate for the host")
        })?;
        return Ok(Route::Intercept(server));
    }
    // A dedicated listener serves its own service only.
    let Some(connector) = snapshot.passthrough.as_ref().filter(|_| context.dedicated_service().is_none())
    else {
        return Err(rejected(
            ErrorReason::UnknownService,
            "CONNECT to a host of no service",
            "The host of this CONNECT is no service's. `connect: { unmatched: tunnel }` allows tunnels to other hosts.",
        ));
    };
    let is_of_wildcard = |host: &str| host.starts_with('.');
    let reserved = Reserved {
        // The hosts of a wildcard may have any address, that of this machine as well.
        is_own_port: context.plane.is_own_port(port)
            || snapshot.routes.upstreams_at(port).any(is_of_wildcard),
        upstreams: snapshot
            .routes
            .upstreams_at(port)
            .filter_map(Host::canonical)
            .chain(snapshot.routes.addresses_at(port).map(Host::Ip))
            .collect(),
    };
    let stream = connector.connect(host, port, &reserved).await.map_err(|error| {
        let cause = format!("CONNECT: {error}");
        match error {
            PassthroughError::Local => rejected(
                ErrorReason::Forbidden,
                &cause,
                "A tunnel to Sidekey's own machine or link is allowed only if `connect.allow_local` is true.",
            ),
            PassthroughError::Reserved => rejected(
                ErrorReason::Forbidden,
                &cause,
                "The host of this CONNECT is another name of Sidekey's machine, and the port is that of a service's upstream there, or \
                 Sidekey's own. Use the host that the configuration of the service has.",
            ),
            PassthroughError::Connect(_) => rejected(
                ErrorReason::UpstreamConnect,
                &cause,
                "Sidekey cannot connect to the host of this CONNECT.",
            ),
            PassthroughError::Exhausted(_) => ProxyError {
                retry_after: Some(1),
                ..rejected(ErrorReason::Overloaded, &cause, NO_DESCRIPTOR)
            },
            PassthroughError::Timeout => rejected(
                ErrorReason::UpstreamTimeout,
                &cause,
                "The host of this CONNECT did not answer in time.",
            ),
        }
    })?;
    Ok(Route::Passthrough(stream, connector.idle()))
}

/// Sends the 200 response to a `CONNECT`.
pub(crate) async fn confirm(io: &mut impl Io) -> Result<(), RelayError> {
    relay::write(io, ESTABLISHED, &mut ReusableTimer::default(), FIRST_BYTE_TIMEOUT).await
}

/// Whether the caller begins a TLS handshake; `None` if it sends nothing in time.
pub(crate) async fn begins_tls(io: &mut Prefixed<'_, impl Io>) -> Option<bool> {
    let first = ReusableTimer::default().timeout(FIRST_BYTE_TIMEOUT, io.first()).await;
    let Ok(Ok(Some(first))) = first else { return None };
    Some(first == TLS_HANDSHAKE)
}

/// Passes bytes in both directions until both sides have ended. `read` has the bytes that the caller sent
/// after its `CONNECT`.
pub(crate) async fn pass(
    context: &ConnectionContext,
    io: &mut impl Io,
    read: &Buffer,
    mut stream: TcpStream,
    idle: Option<Duration>,
    authority: String,
    caller: Option<String>,
) {
    // A shutdown waits for a tunnel as long as it waits for requests.
    let (start, _in_flight) = (Instant::now(), context.plane.track());
    let result = tunnel::run(io, &mut stream, read.filled(), idle).await;
    tracing::debug!(
        "tunnel ended: {}",
        result.err().map_or("by both sides".into(), |error: io::Error| error.to_string())
    );
    context.plane.metrics.answered("", MethodLabel::CONNECT, 200);
    access_log::write(&access_log::Entry {
        service: "",
        method: MethodLabel::CONNECT,
        path: context.snapshot().access_log.then_some(&authority),
        status: Some(200),
        took: start.elapsed(),
        request_id: None,
        failure: None,
        caller: caller.as_deref(),
    });
}
