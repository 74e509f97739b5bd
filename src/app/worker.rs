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
use tokio::sync::oneshot;

use crate::config::Listen;
use crate::listener::Listener;
use crate::proxy::{DataPlane, Entrance};

use super::doors::OpenDoor;

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
    pub(super) fn serve(&self, door: &OpenDoor, plane: &Arc<DataPlane>) -> anyhow::Result<()> {
        // The first one here: what fails is the start or the reload, not a task somewhere.
        let mut next = Some(listening(&door.listener, Entrance::new(plane.clone(), door.door.clone()))?);
        let (listener, bound) = (door.listener.clone(), door.bound.clone());
        let (plane, door, stop) = (plane.clone(), door.door.clone(), door.stop.subscribe());
        self.runtime.spawn(async move {
            loop {
                match next
                    .take()
                    .map_or_else(|| listening(&listener, Entrance::new(plane.clone(), door.clone())), Ok)
                {
                    Ok((mut service, descriptors)) => {
                        let stop = stop.clone();
                        // In a task of its own: not even a panic ends the listener for good.
                        let _ = tokio::spawn(async move {
                            service.start_service(Some(descriptors), stop, 1).await;
                        })
                        .await;
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
        Ok(())
    }

    /// Ends the thread, and whatever it is still busy with.
    pub(super) fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
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
