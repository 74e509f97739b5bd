//! Shared set-up of the data plane tests: Sidekey with one upstream, and connections as raw bytes.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::harness::{MockUpstream, Sidekey, TIMEOUT, assert_eventually};

/// A Sidekey with one service, `api`, with the bearer token `t0ken`.
pub async fn sidekey_for(upstream: &MockUpstream) -> Sidekey {
    sidekey_for_url(&upstream.url(), "").await
}

/// Like [`sidekey_for`], with the upstream's URL and more keys of the service (each with a comma before it).
pub async fn sidekey_for_url(url: &str, more: &str) -> Sidekey {
    let services = format!("api: {{ upstream: '{url}', auth: {{ type: bearer, token: t0ken }}{more} }}");
    Sidekey::serving(&services).start().await
}

/// Like [`sidekey_for_url`], with a single worker, so that all requests share one connection pool.
pub async fn sidekey_with_one_worker(url: &str, more: &str) -> Sidekey {
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nthreads: 1\nlog: {{ level: debug, format: json }}\naccess_log: true\nservices:\n  \
         api: {{ upstream: '{url}', auth: {{ type: bearer, token: t0ken }}{more} }}\n"
    );
    Sidekey::configured(&config).start().await
}

/// Waits until no request is in flight.
pub async fn wait_until_idle(sidekey: &Sidekey) {
    assert_eventually(TIMEOUT, "no request is in flight", async || {
        sidekey.metric("sidekey_requests_in_flight", &[]).await.unwrap_or(0.0) == 0.0
    })
    .await;
}

/// Waits until the log contains a text, because what was written may still be in the pipe.
pub async fn said(sidekey: &Sidekey, text: &str) {
    assert_eventually(TIMEOUT, &format!("the log says {text:?}"), async || sidekey.log().contains(text))
        .await;
}

/// A listening socket; the test itself plays the server.
pub struct RawServer(TcpListener);

impl RawServer {
    pub async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// A server whose receive buffers are small.
    pub fn with_small_buffers() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self(socket.listen(16).unwrap())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// Accepts the next connection.
    pub async fn accept(&self) -> Wire {
        let accepted = timeout(TIMEOUT, self.0.accept()).await.expect("a connection in time");
        Wire::new(accepted.unwrap().0)
    }

    /// Accepts the next connection and reads the head of its first request.
    pub async fn accept_request(&self) -> (Wire, String) {
        let mut wire = self.accept().await;
        let head = wire.until("\r\n\r\n").await;
        (wire, head)
    }
}

/// One connection, as raw bytes.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub async fn to(sidekey: &Sidekey) -> Self {
        Self::new(TcpStream::connect(sidekey.address()).await.unwrap())
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(TIMEOUT, self.stream.write_all(bytes.as_ref())).await.expect("it is taken in time").unwrap();
    }

    /// Reads up to and including `end`.
    pub async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end.as_bytes()) {
                let bytes = self.read.drain(..at + end.len()).collect();
                return String::from_utf8(bytes).unwrap();
            }
            assert_ne!(self.fill().await, 0, "closed after {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// Reads exactly `length` bytes without keeping them; returns the part that was read last.
    pub async fn count(&mut self, length: usize) -> Vec<u8> {
        let mut seen = self.read.len();
        while seen < length {
            self.read.clear();
            let read = self.fill().await;
            assert_ne!(read, 0, "closed after {seen} bytes");
            seen += read;
        }
        assert_eq!(seen, length, "{:?}", String::from_utf8_lossy(&self.read));
        std::mem::take(&mut self.read)
    }

    /// Reads until the other side closes or resets.
    pub async fn rest(&mut self) -> String {
        while self.fill().await > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Bytes that were read beyond the last match.
    pub fn left(&self) -> &[u8] {
        &self.read
    }

    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    async fn fill(&mut self) -> usize {
        let read = timeout(TIMEOUT, self.stream.read_buf(&mut self.read)).await;
        read.expect("bytes or the end in time").unwrap_or(0)
    }
}
