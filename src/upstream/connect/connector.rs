//! Opens one connection: a name to addresses, TCP to the first that answers, a tunnel where there is a proxy, then TLS.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address_order::RecentFailures;
use super::happy_eyeballs;
use super::happy_eyeballs::Attempts;
use super::proxy_tunnel;
use crate::config::Host;
use crate::net::dns::Resolver;
use crate::net::keepalive::enable_keepalive;
use crate::net::read_ahead::ReadAhead;
use crate::tls::client::TlsClient;
use crate::upstream::Stream;

/// Why there is no connection: what was tried, how far it got, and what came of it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("cannot resolve {name}: {source}")]
    Dns {
        /// The upstream's host, or the proxy's.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// No address took the connection.
    #[error("cannot connect to {0}")]
    Tcp(String),
    /// The proxy opened no tunnel.
    #[error("no tunnel to {to} through the proxy at {proxy}: {source}")]
    Proxy {
        /// Host and port of the upstream.
        to: String,
        /// The proxy.
        proxy: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate was not accepted, or the handshake failed.
    #[error("TLS with {name} ({address}) failed: {source}{hint}")]
    Tls {
        /// The upstream's host.
        name: String,
        /// The address, the proxy's if there is one.
        address: SocketAddr,
        /// Why.
        source: io::Error,
        /// What may be wrong.
        hint: &'static str,
    },
    /// `protocol: http2`, and the upstream does not agree to it.
    #[error("{name} does not agree to HTTP/2 (ALPN), which `protocol: http2` asks for")]
    Version {
        /// The upstream's host.
        name: String,
    },
    /// The connection was made, and it is not HTTP/2 that is spoken there.
    #[error("{name} ({address}) does not speak HTTP/2: {source}")]
    Http2 {
        /// The upstream's host.
        name: String,
        /// The address, the proxy's if there is one.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// `protocol: http2`, and the request needs HTTP/1.1.
    #[error("a WebSocket needs HTTP/1.1, which `protocol: http2` rules out")]
    Upgrade,
    /// `timeouts.connect` is over.
    #[error("{name} did not take the connection within {} (timeouts.connect): {phase}", seconds(.after))]
    Timeout {
        /// The upstream's host.
        name: String,
        /// The limit.
        after: Duration,
        /// What it was busy with.
        phase: String,
    },
}

impl ConnectError {
    /// Another try, at another address perhaps, may do better: the connection broke, and nobody said no.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Tcp(_) => true,
            Self::Tls { source, .. } => source.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>()),
            Self::Dns { .. } | Self::Proxy { .. } | Self::Timeout { .. } => false,
            Self::Version { .. } | Self::Http2 { .. } | Self::Upgrade => false,
        }
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// Where connections go, and how.
pub(crate) struct Connector {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) tls: Option<(Arc<TlsClient>, ServerName<'static>)>,
    /// In place of DNS.
    pub(crate) resolve: Vec<std::net::IpAddr>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) resolver: Resolver,
    pub(crate) recent_failures: RecentFailures,
}

/// The proxy that opens tunnels.
pub(crate) struct Proxy {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) authorization: Option<HeaderValue>,
}

impl Connector {
    /// A connection within `limit`, TLS offering `alpn` (RFC 7301); one that merely breaks is tried once more.
    pub(crate) async fn connect(
        &self,
        alpn: &[&[u8]],
        limit: Duration,
    ) -> Result<(Stream, SocketAddr), ConnectError> {
        let phase = Mutex::new("waiting for the name servers".to_owned());
        let opening = async {
            match self.open(alpn, &phase).await {
                Err(error) if error.is_transient() => self.open(alpn, &phase).await,
                outcome => outcome,
            }
        };
        tokio::time::timeout(limit, opening).await.unwrap_or_else(|_| {
            Err(ConnectError::Timeout {
                name: self.host.to_string(),
                after: limit,
                phase: phase.into_inner(),
            })
        })
    }

    async fn open(
        &self,
        alpn: &[&[u8]],
        phase: &Mutex<String>,
    ) -> Result<(Stream, SocketAddr), ConnectError> {
        let addresses = self.recent_failures.order(&self.addresses().await?);
        let mut attempts = Attempts::default();
        let trying = |address: SocketAddr| {
            let mut phase = phase.lock();
            if !phase.starts_with("tried") {
                "tried".clone_into(&mut phase);
            }
            let _ = write!(phase, " {address}");
        };
        let found = happy_eyeballs::connect(&addresses, trying, &mut attempts).await;
        let taken = found.as_ref().map(|(_, address)| *address);
        for (address, _) in &attempts.tried {
            if Some(*address) == taken {
                self.recent_failures.remove(address.ip());
            } else {
                self.recent_failures.add(address.ip());
            }
        }
        let Some((mut tcp, address)) = found else { return Err(ConnectError::Tcp(self.failures(&attempts))) };
        tcp.set_nodelay(true).map_err(|error| ConnectError::Tcp(format!("{address}: {error}")))?;
        enable_keepalive(&tcp);
        if let Some(proxy) = &self.proxy {
            *phase.lock() = format!("waiting for the proxy at {address} to open the tunnel");
            let to = format!("{}:{}", self.host, self.port);
            let opened = proxy_tunnel::open(&mut tcp, &to, proxy.authorization.as_ref()).await;
            opened.map_err(|source| ConnectError::Proxy { to, proxy: address, source })?;
        }
        if self.tls.is_some() {
            *phase.lock() = format!("connected to {address}, the TLS handshake is not over");
        }
        match self.secure(alpn, tcp).await {
            Ok(stream) => Ok((stream, address)),
            Err(source) => {
                let name = self.host.to_string();
                let error = ConnectError::Tls { name, address, hint: hint(&source), source };
                if error.is_transient() && self.proxy.is_none() {
                    self.recent_failures.add(address.ip());
                }
                Err(error)
            }
        }
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        if !self.resolve.is_empty() {
            return Ok(self.resolve.iter().map(|&ip| SocketAddr::new(ip, self.port)).collect());
        }
        let (host, port) =
            self.proxy.as_ref().map_or((&self.host, self.port), |proxy| (&proxy.host, proxy.port));
        let found = self.resolver.addresses(host, port).await;
        found.map_err(|source| ConnectError::Dns { name: host.to_string(), source })
    }

    async fn secure(&self, alpn: &[&[u8]], tcp: TcpStream) -> io::Result<Stream> {
        let Some((client, name)) = &self.tls else { return Ok(Stream::Plain(tcp)) };
        let mut config = client.current();
        if !alpn.is_empty() {
            // The session cache stays the same one.
            let mut offering = ClientConfig::clone(&config);
            offering.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
            config = Arc::new(offering);
        }
        let connector = TlsConnector::from(config);
        Ok(Stream::Tls(Box::new(connector.connect(name.clone(), ReadAhead::new(tcp)).await?)))
    }

    /// The addresses that were tried, each with its error.
    fn failures(&self, attempts: &Attempts) -> String {
        let mut text = self.host.to_string();
        if let Some(proxy) = &self.proxy {
            text = format!("the proxy {}", proxy.host);
        }
        for (index, (address, error)) in attempts.tried.iter().enumerate() {
            let error = error.as_ref().map_or_else(|| "no answer".to_owned(), plain);
            let _ = write!(text, "{} {address}: {error}", if index == 0 { ":" } else { "," });
        }
        text
    }
}

/// Without `(os error 111)`.
fn plain(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

/// What an error of the handshake often means.
pub(crate) fn hint(error: &io::Error) -> &'static str {
    use rustls::{CertificateError, Error, InvalidMessage};
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else { return "" };
    match tls {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "; what answers there does not speak TLS: is it `http://`, or another port?"
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; its CA is not among those trusted: `tls.ca_file` names another"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; its certificate is for another name: `tls.server_name` says which to expect",
        Error::AlertReceived(rustls::AlertDescription::ProtocolVersion) => {
            "; it speaks none of the versions of TLS that are allowed (`tls.min_version`)"
        }
        _ => "",
    }
}
