//! The HTTP/2 connections of one endpoint.
//!
//! A worker has connections of its own, because the event loop that opened a connection drives it. A request
//! gets a stream of the first connection that has capacity. If none has, one is opened, and other requests of
//! the worker wait for it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::SharedConnection;
use super::stream::Stream;
use crate::proto::http2::upstream_request::RequestContext;
use crate::upstream::worker::{SHARDS, shard};

/// The connections of one endpoint.
pub(in crate::upstream) struct Connections {
    shards: [Shard; SHARDS],
    /// A connection is closed after carrying no request for this time.
    idle_timeout: Duration,
    /// Names of the fields that hold the service's credential.
    sensitive_headers: Arc<[HeaderName]>,
    /// The largest head of a response, as HTTP/2 counts its size.
    max_head: u32,
}

#[derive(Default)]
struct Shard {
    open: Mutex<Vec<Arc<SharedConnection>>>,
    /// Locked while a connection is being opened.
    opening: tokio::sync::Mutex<()>,
}

impl Connections {
    pub(in crate::upstream) fn new(
        idle_timeout: Duration,
        sensitive_headers: Arc<[HeaderName]>,
        max_head: u32,
    ) -> Self {
        let shards = std::array::from_fn(|_| Shard::default());
        Self { shards, idle_timeout, sensitive_headers, max_head }
    }

    /// A stream of a connection that has capacity for one.
    pub(in crate::upstream) fn stream(&self) -> Option<Stream> {
        let mut open = self.shards[shard()].open.lock();
        open.retain(|connection| connection.is_open());
        let connection = open.iter().find(|connection| connection.has_capacity())?;
        Some(Stream::new(connection.clone()))
    }

    /// Waits for the lock under which a connection is opened: each worker opens one at a time.
    pub(in crate::upstream) async fn lock_opening(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shards[shard()].opening.lock().await
    }

    /// A stream of a new connection over `io`.
    pub(in crate::upstream) async fn open(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        is_tls: bool,
        address: SocketAddr,
    ) -> io::Result<Stream> {
        let context = RequestContext { is_tls, sensitive: self.sensitive_headers.clone() };
        let connection = SharedConnection::open(io, context, address, self.max_head).await?;
        self.shards[shard()].open.lock().push(connection.clone());
        Ok(Stream::new(connection))
    }

    /// The number of connections that carry no request.
    pub(in crate::upstream) fn idle(&self) -> usize {
        let is_idle = |connection: &&Arc<SharedConnection>| connection.is_idle_for(Duration::ZERO);
        self.shards.iter().map(|shard| shard.open.lock().iter().filter(is_idle).count()).sum()
    }

    /// Closes connections that carried no request for too long.
    pub(in crate::upstream) fn sweep(&self) {
        for shard in &self.shards {
            shard
                .open
                .lock()
                .retain(|connection| connection.is_open() && !connection.is_idle_for(self.idle_timeout));
        }
    }
}
