//! `CONNECT` (RFC 9110 §9.3.6), as apps send it that have Sidekey in `HTTPS_PROXY`.
//!
//! To a service's host: Sidekey answers in its place, with a certificate of the configured authority, and serves what comes
//! like any other request. The credential goes where it always goes, to the service's own upstream, and only for requests
//! whose `Host` and TLS name are the ones of the `CONNECT`. To any other host: refused, or bytes that nobody looks at.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use tokio::net::TcpStream;

use super::http1::requests;
use super::prefixed_io::Prefixed;
use super::tls;
use crate::config::Host;
use crate::metrics::MethodLabel;
use crate::net::buffer::Buffer;
use crate::proxy::Proxy;
use crate::proxy::access_log;
use crate::proxy::error::{Failure, Reason};
use crate::proxy::peer::Within;
use crate::proxy::request::prepare::Refusal;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::Io;
use crate::proxy::wire::timer::Patience;
use crate::proxy::wire::tunnel;
use crate::upstream::OutsideError;

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
/// A caller that asked for a connection begins to use it within this time.
const BEGIN: Duration = Duration::from_secs(30);
/// The first byte of a TLS handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;

/// What a `CONNECT` leads to.
pub(crate) struct Opened {
    authority: String,
    to: To,
}

enum To {
    /// A service: TLS in its name.
    Service(Arc<ServerConfig>),
    /// Anywhere else.
    Outside(TcpStream, Option<Duration>),
}

/// Whether a head is the one of a `CONNECT`.
pub(crate) fn is_asked_for(head: &[u8]) -> bool {
    head.starts_with(b"CONNECT ")
}

/// Decides on a `CONNECT`; what leads outside is connected then.
pub(crate) async fn open(proxy: &Proxy, bytes: &[u8]) -> Result<Opened, Refusal<'static>> {
    let (host, port) = parse_head::connect(bytes)?;
    let authority = format!("{host}:{port}");
    let to = match lead(proxy, &host, port).await {
        Ok(to) => to,
        Err(failure) => return Err(Refusal { method: MethodLabel::CONNECT, ..Refusal::from(failure) }),
    };
    Ok(Opened { authority, to })
}

async fn lead(proxy: &Proxy, host: &Host, port: u16) -> Result<To, Failure> {
    let refused =
        |reason, cause: &str, detail| Failure { detail: Some(detail), ..Failure::new(reason, cause) };
    if proxy.caller.within().is_some() {
        return Err(Failure::new(Reason::BadRequest, "CONNECT within CONNECT"));
    }
    let snapshot = proxy.snapshot();
    if snapshot.routes.is_service(proxy.own(), &host.to_string(), port) {
        let Some(authority) = &snapshot.intercept else {
            return Err(refused(
                Reason::Forbidden,
                "CONNECT to a service's host without `intercept`",
                "The host is a service's. For HTTPS by CONNECT, Sidekey needs `intercept: { ca_cert, ca_key }` in its configuration, and the \
                 caller must trust that CA; or call the service by http://, which Sidekey turns into https://.",
            ));
        };
        let server = authority.server(host).map_err(|error| {
            tracing::error!("interception failed: {error}");
            Failure::new(Reason::Forbidden, "no certificate for the host")
        })?;
        return Ok(To::Service(server));
    }
    // A listener of one service's own leads nowhere else.
    let Some(outside) = snapshot.outside.as_ref().filter(|_| proxy.own().is_none()) else {
        return Err(refused(
            Reason::UnknownService,
            "CONNECT to a host of no service",
            "The host of this CONNECT is no service's; `unmatched: tunnel` lets others pass.",
        ));
    };
    let stream = outside.connect(host, port).await.map_err(|error| {
        let cause = format!("CONNECT: {error}");
        match error {
            OutsideError::Local => refused(
                Reason::Forbidden,
                &cause,
                "A tunnel leads to Sidekey's own machine or link only where `tunnel.allow_local` is true.",
            ),
            OutsideError::Connect(_) => refused(
                Reason::UpstreamConnect,
                &cause,
                "Sidekey cannot connect to the host of this CONNECT.",
            ),
            OutsideError::Timeout => {
                refused(Reason::UpstreamTimeout, &cause, "The host of this CONNECT did not answer in time.")
            }
        }
    })?;
    Ok(To::Outside(stream, outside.idle()))
}

/// Serves a connection after its `CONNECT`; `rest` is what the caller sent already.
pub(crate) async fn serve(mut proxy: Proxy, io: &mut impl Io, rest: Buffer, opened: Opened) {
    let mut patience = Patience::default();
    if relay::write(io, ESTABLISHED, &mut patience, BEGIN).await.is_err() {
        return;
    }
    match opened.to {
        To::Outside(stream, idle) => pass(&proxy, io, &rest, stream, idle, opened.authority).await,
        To::Service(server) => {
            let mut inner = Prefixed::new(rest, io);
            let Ok(Ok(Some(first))) = patience.wait(BEGIN, inner.first()).await else { return };
            let is_tls = first == HANDSHAKE;
            proxy.caller.enter(Within { authority: opened.authority, is_tls });
            if !is_tls {
                requests(proxy, &mut inner).await;
            } else if let Some(mut inner) = tls::accept(server, inner).await {
                requests(proxy, &mut inner).await;
            }
        }
    }
}

/// Bytes, both ways, until both sides have ended.
async fn pass(
    proxy: &Proxy,
    io: &mut impl Io,
    rest: &Buffer,
    mut stream: TcpStream,
    idle: Option<Duration>,
    authority: String,
) {
    // A shutdown waits for a tunnel as long as it waits for requests.
    let (start, _counted) = (Instant::now(), proxy.plane.count());
    let ended = tunnel::run(io, &mut stream, rest.filled(), idle).await;
    tracing::debug!(
        "tunnel ended: {}",
        ended.err().map_or("by both sides".into(), |error: io::Error| error.to_string())
    );
    proxy.plane.metrics.answered("", MethodLabel::CONNECT, 200);
    access_log::write(&access_log::Entry {
        service: "",
        method: MethodLabel::CONNECT,
        path: proxy.snapshot().access_log.then_some(&authority),
        status: Some(200),
        took: start.elapsed(),
        failure: None,
    });
}
