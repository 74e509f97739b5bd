//! A TCP proxy that fails on command, between the program and a peer. It does not parse HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The proxy. It stops, with all its connections, when dropped.
pub struct ChaosProxy {
    address: SocketAddr,
    control: Arc<watch::Sender<Control>>,
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

#[derive(Debug, Clone, Copy, Default)]
struct Control {
    /// No bytes are forwarded.
    stalled: bool,
    /// Resets new connections.
    refusing: bool,
    /// Incremented to end all current connections.
    cuts: usize,
    /// They end with RST instead of FIN.
    by_reset: bool,
}

impl ChaosProxy {
    /// A proxy in front of `target` that forwards everything.
    pub async fn in_front_of(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let control = Arc::new(watch::Sender::new(Control::default()));
        let connections = Arc::new(AtomicUsize::new(0));
        let task =
            tokio::spawn(accept(listener, target, control.clone(), connections.clone())).abort_handle();
        Self { address, control, connections, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Forwards nothing in either direction; connections stay open and new ones are accepted.
    pub fn stall(&self) {
        self.control.send_modify(|control| control.stalled = true);
    }

    /// Resets new connections.
    pub fn refuse(&self) {
        self.control.send_modify(|control| control.refusing = true);
    }

    /// Ends [`stall`](Self::stall) and [`refuse`](Self::refuse); delayed bytes are forwarded.
    pub fn resume(&self) {
        self.control.send_modify(|control| (control.stalled, control.refusing) = (false, false));
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.end_all(false);
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.end_all(true);
    }

    fn end_all(&self, by_reset: bool) {
        self.control.send_modify(|control| {
            control.cuts += 1;
            control.by_reset = by_reset;
        });
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    control: Arc<watch::Sender<Control>>,
    connections: Arc<AtomicUsize>,
) {
    let mut tasks = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::SeqCst);
        if control.borrow().refusing {
            let _ = client.set_zero_linger();
            continue;
        }
        tasks.spawn(relay(client, target, control.subscribe()));
    }
}

async fn relay(
    client: TcpStream,
    target: SocketAddr,
    mut control: watch::Receiver<Control>,
) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    let cuts = control.borrow().cuts;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (up, down) = (control.clone(), control.clone());
    tokio::select! {
        result = async {
            tokio::try_join!(copy(&mut from_client, &mut to_server, up), copy(&mut from_server, &mut to_client, down))
        } => return result.map(|_| ()),
        _ = control.wait_for(|now| now.cuts != cuts) => (),
    }
    if control.borrow().by_reset {
        from_client.as_ref().set_zero_linger()?;
        from_server.as_ref().set_zero_linger()?;
        // Dropping the halves would send a FIN first.
        to_client.forget();
        to_server.forget();
    }
    Ok(())
}

async fn copy(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut control: watch::Receiver<Control>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let _ = control.wait_for(|now| !now.stalled).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}
