//! One worker: its own thread, its own event loop, its own descriptor of every socket.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::{Fds, ListenFds};
use pingora::services::Service as _;
use pingora::services::listening::Service as Listening;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

use crate::config::Listen;
use crate::net::listener::Listener;
use crate::proxy::{DataPlane, Entrance, ListenerContext};

use super::Bound;
use super::listeners::OpenDoor;

/// How long a listener that broke down rests before it is taken up again.
const REST: Duration = Duration::from_secs(1);

/// A thread that serves connections.
pub(super) struct Worker {
    runtime: Handle,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread; it serves nothing yet.
    pub(super) fn start(number: usize) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(format!("sidekey-worker-{number}"));
        let thread = thread.spawn(move || {
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, end, thread })
    }

    /// Accepts at a door from now on until it is closed.
    pub(super) fn serve(&self, ready: Ready) {
        let Ready { first, listener, plane, bound, door, stop } = ready;
        let mut next = Some(first);
        self.runtime.spawn(async move {
            loop {
                let again = || listening(&listener, Entrance::new(plane.clone(), door.clone()));
                match next.take().map_or_else(again, Ok) {
                    Ok((mut service, descriptors)) => {
                        let stop = stop.clone();
                        // In a task of its own: not even a panic ends the listener for good.
                        let serving = tokio::spawn(async move {
                            service.start_service(Some(descriptors), stop, 1).await;
                        });
                        let _ = serving.await;
                    }
                    Err(error) => tracing::error!("cannot listen on {}: {error:#}", bound.address),
                }
                if *stop.borrow() {
                    return;
                }
                tracing::error!(
                    listener.kind = bound.kind,
                    listener.address = %bound.address,
                    service.name = bound.service.as_deref(),
                    "a listener broke down on one worker; it is taken up again"
                );
                tokio::time::sleep(REST).await;
            }
        });
    }

    /// Ends the thread, and whatever it is still busy with.
    pub(super) fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}

/// All that one worker needs to serve a door: what could fail is done.
pub(super) struct Ready {
    first: (Listening<Entrance>, ListenFds),
    listener: Arc<Listener>,
    plane: Arc<DataPlane>,
    bound: Bound,
    door: Arc<ListenerContext>,
    stop: watch::Receiver<bool>,
}

impl Ready {
    /// Makes a descriptor of the door's socket and an accept loop on it.
    pub(super) fn new(open: &OpenDoor, plane: &Arc<DataPlane>) -> anyhow::Result<Self> {
        let (plane, door, listener) = (plane.clone(), open.door.clone(), open.listener.clone());
        let first = listening(&listener, Entrance::new(plane.clone(), door.clone()))?;
        Ok(Self { first, listener, plane, bound: open.bound.clone(), door, stop: open.stop.subscribe() })
    }
}

/// The engine's accept loop for one socket, and the descriptor it is to find it by.
fn listening(listener: &Listener, entrance: Entrance) -> anyhow::Result<(Listening<Entrance>, ListenFds)> {
    let (address, endpoint) = match &listener.address {
        Listen::Tcp(tcp) => (tcp.to_string(), ListenerConfig::tcp(tcp.to_string())),
        Listen::Unix(path) => {
            let address = path.to_str().context("the path of a socket is not UTF-8")?.to_owned();
            // As the umask made them: the engine's own choice lets every user of the machine in.
            let permissions = std::fs::metadata(path)?.permissions();
            // The engine does the same, and panics where it cannot.
            std::fs::set_permissions(path, permissions.clone()).with_context(|| {
                format!(
                    "the socket at {address} belongs to another user (a socket unit of systemd makes it Sidekey's with `SocketUser=`)"
                )
            })?;
            (address.clone(), ListenerConfig::uds(address).permissions(permissions))
        }
    };
    let mut descriptors = Fds::new();
    descriptors.add(address.clone(), listener.descriptor()?);
    let mut service = Listening::new(address, entrance);
    // The proxy reads into buffers of its own and writes whole messages.
    service.add_listener(endpoint.l4_buffer(L4BufferSettings::unbuffered()));
    Ok((service, Arc::new(Mutex::new(descriptors))))
}
