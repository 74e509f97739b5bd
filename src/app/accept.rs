//! Accepts connections, with pingora's accept loop. The only file that names pingora.
//!
//! Pingora contributes the loop and nothing else: it accepts on a descriptor of a socket that Sidekey has bound itself, and
//! calls [`ProxyApp`] in a task of its own for each connection. Sockets, threads, TLS, HTTP and the drain are Sidekey's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::apps::ServerApp;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::protocols::{SocketDigest, Stream};
use pingora::server::{Fds, ListenFds, ShutdownWatch};
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::sync::watch;

use crate::config::ListenAddress;
use crate::logging::AcceptLog;
use crate::net::listener::BoundListener;
use crate::proxy;
use crate::proxy::{DataPlane, ListenerContext, PeerAddress, PeerSocket};

/// Where the accept loop logs its errors, and how it begins the one about a connection that could not be accepted.
pub const ACCEPT_LOG: AcceptLog =
    AcceptLog { target: "pingora_core::services::listening", accept_failed: "Accept() failed" };

/// The accept loop for one listening socket on one worker.
pub(super) struct AcceptLoop {
    service: Service<ProxyApp>,
    descriptors: ListenFds,
}

impl AcceptLoop {
    /// Prepares the loop: duplicates the socket's descriptor and does all else that can fail.
    pub(super) fn new(
        socket: &BoundListener,
        plane: &Arc<DataPlane>,
        context: &Arc<ListenerContext>,
    ) -> anyhow::Result<Self> {
        let (address, endpoint) = match &socket.address {
            ListenAddress::Tcp(tcp) => (tcp.to_string(), ListenerConfig::tcp(tcp.to_string())),
            ListenAddress::Unix(path) => {
                let address = path.to_str().context("the path of a socket is not UTF-8")?.to_owned();
                // As the umask made them: pingora's default lets every user of the machine in.
                let permissions = std::fs::metadata(path)?.permissions();
                // Pingora does the same, and panics if it fails.
                std::fs::set_permissions(path, permissions.clone()).with_context(|| {
                    format!(
                        "the socket at {address} belongs to another user (a socket unit of systemd makes it Sidekey's with `SocketUser=`)"
                    )
                })?;
                (address.clone(), ListenerConfig::uds(address).permissions(permissions))
            }
        };
        let mut descriptors = Fds::new();
        descriptors.add(address.clone(), socket.descriptor()?);
        let app = ProxyApp { plane: plane.clone(), listener: context.clone() };
        let mut service = Service::new(address, app);
        // The proxy reads into buffers of its own and writes whole messages.
        service.add_listener(endpoint.l4_buffer(L4BufferSettings::unbuffered()));
        Ok(Self { service, descriptors: Arc::new(Mutex::new(descriptors)) })
    }

    /// Accepts connections until `stop` becomes true.
    pub(super) async fn run(mut self, stop: watch::Receiver<bool>) {
        self.service.start_service(Some(self.descriptors), stop, 1).await;
    }
}

/// Hands each accepted connection of one listener to the data plane.
struct ProxyApp {
    plane: Arc<DataPlane>,
    listener: Arc<ListenerContext>,
}

#[async_trait]
impl ServerApp for ProxyApp {
    async fn process_new(self: &Arc<Self>, stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        let socket = stream.get_socket_digest().map(|digest| digest as Arc<dyn PeerSocket>);
        proxy::serve(&self.plane, &self.listener, stream, socket).await;
        None
    }
}

impl PeerSocket for SocketDigest {
    fn address(&self) -> PeerAddress {
        match self.peer_addr().and_then(|peer| peer.as_inet()) {
            Some(peer) => PeerAddress::Ip(peer.ip()),
            // The peer's end of a Unix socket has no name.
            None if self.local_addr().is_some_and(|local| local.as_inet().is_none()) => PeerAddress::Unix,
            None => PeerAddress::Unknown,
        }
    }

    fn local_ip(&self) -> Option<IpAddr> {
        self.local_addr().and_then(|local| local.as_inet()).map(SocketAddr::ip)
    }
}
