//! A forward proxy that supports CONNECT.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A proxy that responds to each CONNECT with fixed bytes, and connects each tunnel to one target, whatever host the request names.
pub struct Tunnels {
    pub address: SocketAddr,
    /// The heads of the requests so far.
    pub requests: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Tunnels {
    /// A response that opens the tunnel.
    pub const OPEN: &str = "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";

    pub async fn to(target: SocketAddr, answer: &str) -> Self {
        let answer: Arc<str> = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(client.read_u8().await.unwrap());
                    }
                    seen.lock().push(String::from_utf8(head).unwrap());
                    client.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains("HTTP/1.1 200") {
                        let mut server = TcpStream::connect(target).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { address, requests, task: task.abort_handle() }
    }
}

impl Drop for Tunnels {
    fn drop(&mut self) {
        self.task.abort();
    }
}
