//! One worker: its own thread, its own event loop, its own descriptor of every socket.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

use crate::net::listener::Listener;
use crate::proxy::{DataPlane, ListenerContext};

use super::Bound;
use super::accept::AcceptLoop;
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
                let again = || AcceptLoop::new(&listener, &plane, &door);
                match next.take().map_or_else(again, Ok) {
                    Ok(accept_loop) => {
                        // In a task of its own: not even a panic ends the listener for good.
                        let _ = tokio::spawn(accept_loop.run(stop.clone())).await;
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
    first: AcceptLoop,
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
        let first = AcceptLoop::new(&listener, &plane, &door)?;
        Ok(Self { first, listener, plane, bound: open.bound.clone(), door, stop: open.stop.subscribe() })
    }
}
