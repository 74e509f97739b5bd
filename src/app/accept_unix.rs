//! Accepts connections on a Unix socket. Pingora's accept loop hands out no descriptor, by which the kernel says who has connected.

use std::net::IpAddr;
use std::os::unix::net;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::logging::record_accept_failure;
use crate::net::unix_peer::UnixPeer;
use crate::proxy;
use crate::proxy::{DataPlane, ListenerContext, PeerAddress, PeerSocket};

/// The pause after a connection could not be accepted: most likely no descriptor is left.
const PAUSE: Duration = Duration::from_secs(1);

/// The accept loop for one Unix socket on one worker.
pub(super) struct UnixAcceptLoop {
    socket: net::UnixListener,
    plane: Arc<DataPlane>,
    listener: Arc<ListenerContext>,
}

impl UnixAcceptLoop {
    pub(super) fn new(
        socket: net::UnixListener,
        plane: Arc<DataPlane>,
        listener: Arc<ListenerContext>,
    ) -> Self {
        Self { socket, plane, listener }
    }

    /// Accepts connections until `stop` becomes true.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let Self { socket, plane, listener } = self;
        let socket = match UnixListener::from_std(socket) {
            Ok(socket) => socket,
            Err(error) => return record_accept_failure(&error.to_string()),
        };
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (plane, listener) = (plane.clone(), listener.clone());
                    // In a task of its own, so that a panic ends this connection only.
                    tokio::spawn(async move { serve(&plane, &listener, stream).await });
                }
                Err(error) => {
                    record_accept_failure(&error.to_string());
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn serve(plane: &Arc<DataPlane>, listener: &Arc<ListenerContext>, stream: UnixStream) {
    let socket = UnixSocket { peer: plane.unix_peer(&stream) };
    proxy::serve(plane, listener, stream, Some(Arc::new(socket))).await;
}

/// A Unix socket, with the process that has connected if callers are known by that.
struct UnixSocket {
    peer: Option<UnixPeer>,
}

impl PeerSocket for UnixSocket {
    fn local_ip(&self) -> Option<IpAddr> {
        None
    }

    /// The peer's end has no name.
    fn address(&self) -> PeerAddress {
        PeerAddress::Unix
    }

    fn unix_peer(&self) -> Option<&UnixPeer> {
        self.peer.as_ref()
    }
}
