//! Opens one connection: resolves the name, connects to the first address that accepts (TCP), opens a tunnel
//! if there is a forward proxy, and does the TLS handshake.

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
use super::error::{ConnectError, tls_hint};
use super::happy_eyeballs;
use super::happy_eyeballs::Attempts;
use super::proxy_tunnel;
use crate::config::Host;
use crate::net::dns::Resolver;
use crate::net::exhaustion;
use crate::net::keepalive::enable_keepalive;
use crate::net::read_ahead::ReadAhead;
use crate::tls::client::TlsClient;
use crate::tls::presented::PresentedCertificate;
use crate::upstream::stream::Stream;

/// Opens connections to one server.
pub(crate) struct Connector {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) tls: Option<(Arc<TlsClient>, ServerName<'static>)>,
    /// Addresses that are used instead of DNS (`resolve`).
    pub(crate) resolve: Vec<std::net::IpAddr>,
    pub(crate) proxy: Option<ForwardProxy>,
    pub(crate) resolver: Resolver,
    pub(crate) recent_failures: RecentFailures,
    /// The certificate that the server presented last.
    pub(crate) certificate: PresentedCertificate,
}

/// The proxy that opens tunnels (`proxy`).
pub(crate) struct ForwardProxy {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) authorization: Option<HeaderValue>,
}

impl Connector {
    /// Opens a connection within `limit`; TLS offers `alpn` (RFC 7301). A transient failure is retried once.
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
        let on_attempt = |address: SocketAddr| {
            let mut phase = phase.lock();
            if !phase.starts_with("tried") {
                "tried".clone_into(&mut phase);
            }
            let _ = write!(phase, " {address}");
        };
        let connected = happy_eyeballs::connect(&addresses, on_attempt, &mut attempts).await;
        let chosen = connected.as_ref().map(|(_, address)| *address);
        for (address, error) in &attempts.tried {
            if Some(*address) == chosen {
                self.recent_failures.remove(address.ip());
            } else if !error.as_ref().is_some_and(|error| exhaustion::is_exhaustion(error)) {
                self.recent_failures.add(address.ip());
            }
        }
        let Some((mut tcp, address)) = connected else {
            if let Some(source) = attempts.take_exhaustion() {
                return Err(self.exhausted(source));
            }
            return Err(ConnectError::Tcp(self.failures(&attempts)));
        };
        tcp.set_nodelay(true).map_err(|error| ConnectError::Tcp(format!("{address}: {error}")))?;
        enable_keepalive(&tcp);
        if let Some(proxy) = &self.proxy {
            *phase.lock() = format!("waiting for the proxy at {address} to open the tunnel");
            let to = format!("{}:{}", self.host, self.port);
            let opened = proxy_tunnel::open(&mut tcp, &to, proxy.authorization.as_ref()).await;
            opened.map_err(|source| ConnectError::Proxy { to, proxy: address, source })?;
        }
        if self.tls.is_some() {
            *phase.lock() = format!("connected to {address}, the TLS handshake is not complete");
        }
        match self.secure(alpn, tcp).await {
            Ok(stream) => Ok((stream, address)),
            Err(source) => {
                self.certificate.record_failure(&source);
                let name = self.host.to_string();
                let error = ConnectError::Tls { name, address, hint: tls_hint(&source), source };
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
        let addresses = self.resolver.addresses(host, port).await;
        addresses.map_err(|source| {
            if exhaustion::is_exhaustion(&source) {
                return self.exhausted(source);
            }
            ConnectError::Dns { name: host.to_string(), source }
        })
    }

    /// The error of a connection for which no descriptor is left.
    fn exhausted(&self, source: io::Error) -> ConnectError {
        exhaustion::record(&source);
        ConnectError::Exhausted { name: self.host.to_string(), source }
    }

    async fn secure(&self, alpn: &[&[u8]], tcp: TcpStream) -> io::Result<Stream> {
        let Some((client, name)) = &self.tls else { return Ok(Stream::Plain(tcp)) };
        let mut config = client.current();
        if !alpn.is_empty() {
            // The clone shares the session cache.
            let mut offering = ClientConfig::clone(&config);
            offering.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
            config = Arc::new(offering);
        }
        let connector = TlsConnector::from(config);
        let stream = connector.connect(name.clone(), ReadAhead::new(tcp)).await?;
        self.certificate.record(stream.get_ref().1.peer_certificates());
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// Returns the text of the error: each address that was tried, with its error.
    fn failures(&self, attempts: &Attempts) -> String {
        let mut text = self.host.to_string();
        if let Some(proxy) = &self.proxy {
            text = format!("the proxy {}", proxy.host);
        }
        for (index, (address, error)) in attempts.tried.iter().enumerate() {
            let error = error.as_ref().map_or_else(|| "no answer".to_owned(), without_os_error);
            let _ = write!(text, "{} {address}: {error}", if index == 0 { ":" } else { "," });
        }
        text
    }
}

/// The text of an error without `(os error 111)`.
fn without_os_error(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}
