//! A worker: a thread with an event loop of its own, and its own descriptor of every listening socket.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

use crate::net::buffer_pool;
use crate::net::listener::BoundListener;
use crate::proxy::{DataPlane, ListenerContext};

use super::accept::AcceptLoop;
use super::listeners::{ActiveListener, ListenerInfo};

/// How long to wait before an accept loop that ended unexpectedly is started again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// A thread that serves connections.
pub(super) struct Worker {
    runtime: Handle,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread. It serves nothing yet.
    pub(super) fn start(number: usize) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(format!("sidekey-worker-{number}"));
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = buffer_pool::trim() => {}
                }
            });
        })?;
        Ok(Self { runtime: handle, end, thread })
    }

    /// Accepts connections on a listener until it is closed.
    pub(super) fn serve(&self, prepared: PreparedListener) {
        let PreparedListener { accept_loop, socket, plane, info, context, stop } = prepared;
        let mut next = Some(accept_loop);
        self.runtime.spawn(async move {
            loop {
                let restart = || AcceptLoop::new(&socket, &plane, &context);
                match next.take().map_or_else(restart, Ok) {
                    Ok(accept_loop) => {
                        // In a task of its own, so that not even a panic ends the listener for good.
                        let _ = tokio::spawn(accept_loop.run(stop.clone())).await;
                    }
                    Err(error) => tracing::error!("cannot listen on {}: {error:#}", info.address),
                }
                if *stop.borrow() {
                    return;
                }
                tracing::error!(
                    listener.kind = info.kind,
                    listener.address = %info.address,
                    sidekey.service = info.service.as_deref(),
                    "restarting listener: it failed on one worker"
                );
                tokio::time::sleep(RESTART_DELAY).await;
            }
        });
    }

    /// Resolves when the event loop has turned.
    pub(super) fn turn(&self) -> tokio::task::JoinHandle<()> {
        self.runtime.spawn(async {})
    }

    /// Ends the thread with everything that still runs on it.
    pub(super) fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}

/// What one worker needs to serve a listener; everything that can fail is done.
pub(super) struct PreparedListener {
    accept_loop: AcceptLoop,
    socket: Arc<BoundListener>,
    plane: Arc<DataPlane>,
    info: ListenerInfo,
    context: Arc<ListenerContext>,
    stop: watch::Receiver<bool>,
}

impl PreparedListener {
    /// Makes an accept loop with a descriptor of its own of the listener's socket.
    pub(super) fn new(listener: &ActiveListener, plane: &Arc<DataPlane>) -> anyhow::Result<Self> {
        let (plane, context, socket) = (plane.clone(), listener.context.clone(), listener.socket.clone());
        let accept_loop = AcceptLoop::new(&socket, &plane, &context)?;
        let (info, stop) = (listener.info.clone(), listener.stop.subscribe());
        Ok(Self { accept_loop, socket, plane, info, context, stop })
    }
}
