//! Accepts TCP connections, with pingora's accept loop. The only file that names pingora.
//!
//! Pingora contributes the loop and nothing else: it accepts on a descriptor of a socket that Sidekey has bound itself, and
//! calls [`ProxyApp`] for each connection. Sockets, threads, TLS, HTTP and the drain are Sidekey's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::apps::ServerApp;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::protocols::{SocketDigest, Stream};
use pingora::server::{Fds, ListenFds, ShutdownWatch};
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::sync::watch;

use super::accept_unix::UnixAcceptLoop;
use crate::logging::AcceptLog;
use crate::net::listener::BoundListener;
use crate::proxy;
use crate::proxy::{DataPlane, ListenerContext, PeerAddress, PeerSocket};

/// Where the accept loop logs its errors, and how it begins the one about a connection that could not be accepted.
pub const ACCEPT_LOG: AcceptLog =
    AcceptLog { target: "pingora_core::services::listening", accept_failed: "Accept() failed" };

/// The accept loop for one listening socket on one worker.
pub(super) enum AcceptLoop {
    Tcp(Box<Service<ProxyApp>>, ListenFds),
    Unix(UnixAcceptLoop),
}

impl AcceptLoop {
    /// Prepares the loop: duplicates the socket's descriptor and does all else that can fail.
    pub(super) fn new(
        socket: &BoundListener,
        plane: &Arc<DataPlane>,
        context: &Arc<ListenerContext>,
    ) -> anyhow::Result<Self> {
        if let Some(socket) = socket.unix() {
            return Ok(Self::Unix(UnixAcceptLoop::new(socket?, plane.clone(), context.clone())));
        }
        let address = socket.address.to_string();
        let mut descriptors = Fds::new();
        descriptors.add(address.clone(), socket.descriptor()?);
        let app = ProxyApp { plane: plane.clone(), listener: context.clone() };
        let mut service = Service::new(address.clone(), app);
        // The proxy reads into buffers of its own and writes whole messages.
        let endpoint = ListenerConfig::tcp(address);
        service.add_listener(endpoint.l4_buffer(L4BufferSettings::unbuffered()));
        Ok(Self::Tcp(Box::new(service), Arc::new(Mutex::new(descriptors))))
    }

    /// Accepts connections until `stop` becomes true.
    pub(super) async fn run(self, stop: watch::Receiver<bool>) {
        match self {
            Self::Tcp(mut service, descriptors) => service.start_service(Some(descriptors), stop, 1).await,
            Self::Unix(accept_loop) => accept_loop.run(stop).await,
        }
    }
}

/// Hands each accepted connection of one listener to the data plane.
pub(super) struct ProxyApp {
    plane: Arc<DataPlane>,
    listener: Arc<ListenerContext>,
}

#[async_trait]
impl ServerApp for ProxyApp {
    async fn process_new(self: &Arc<Self>, stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        let socket = stream.get_socket_digest().map(|digest| digest as Arc<dyn PeerSocket>);
        let app = self.clone();
        // In a task of its own. That of the loop has room for a TLS handshake (docs/PINGORA.md), and ends here.
        tokio::spawn(async move { proxy::serve(&app.plane, &app.listener, stream, socket).await });
        None
    }
}

impl PeerSocket for SocketDigest {
    fn address(&self) -> PeerAddress {
        let peer = self.peer_addr().and_then(|peer| peer.as_inet());
        peer.map_or(PeerAddress::Unknown, |peer| PeerAddress::Ip(peer.ip()))
    }

    fn local_ip(&self) -> Option<IpAddr> {
        self.local_addr().and_then(|local| local.as_inet()).map(SocketAddr::ip)
    }
}
