//! What idle callers cost in memory: each has made one request, and is connected still.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::account;
use crate::load::{Caller, OWN};
use crate::pki;
use crate::proxies::{Kind, Proxy, Target, World};

/// Idle callers of each way.
const IDLE: usize = 1000;

/// KiB for each idle caller; `None` if the proxy does not have the way.
pub struct PerCaller {
    pub plain: f64,
    pub tls: Option<f64>,
    pub http2: Option<f64>,
}

/// Connects a thousand callers in each way, one way after the other. Those of the other ways stay connected, so that no memory is
/// used again.
pub fn measure(proxy: &Proxy, world: &World) -> anyhow::Result<PerCaller> {
    let target = proxy.plain();
    let (plain, _plain_callers) = growth(target, || {
        (0..IDLE)
            .map(|_| Caller::to(target).and_then(|mut caller| caller.get("/1k").map(|()| caller)))
            .collect()
    })?;
    let tls = proxy.target(Kind::CallerTls).map(|target| {
        let config = Arc::new(pki::client_config(Some(&world.ca_file()))?);
        growth(target, || (0..IDLE).map(|_| tls_caller(target, config.clone())).collect())
    });
    let tls = tls.transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let http2 = proxy
        .target(Kind::H2c)
        .map(|target| growth(target, || (0..IDLE).map(|_| runtime.block_on(http2_caller(target))).collect()));
    let http2 = http2.transpose()?;
    Ok(PerCaller {
        plain,
        tls: tls.as_ref().map(|(kib, _)| *kib),
        http2: http2.as_ref().map(|(kib, _)| *kib),
    })
}

/// The growth of the memory of a process by each of the connections that `connect` opens, and the connections.
fn growth<C>(target: &Target, connect: impl Fn() -> anyhow::Result<Vec<C>>) -> anyhow::Result<(f64, Vec<C>)> {
    let before = account::memory(target.process)?;
    let callers = connect()?;
    let grown = account::memory(target.process)?.saturating_sub(before);
    Ok((grown as f64 / callers.len() as f64, callers))
}

/// A connection over TLS that has made one request.
pub fn tls_caller(
    target: &Target,
    config: Arc<rustls::ClientConfig>,
) -> anyhow::Result<StreamOwned<ClientConnection, TcpStream>> {
    let socket = TcpStream::connect(target.address)?;
    socket.set_nodelay(true)?;
    let client = ClientConnection::new(config, ServerName::try_from("localhost")?)?;
    let mut stream = StreamOwned::new(client, socket);
    let request =
        format!("GET {}/1k HTTP/1.1\r\nHost: localhost\r\nAuthorization: {OWN}\r\n\r\n", target.prefix);
    stream.write_all(request.as_bytes())?;
    let mut buffer = [0; 4096];
    let mut read = 0;
    // The body is 1 KB of the same letter, behind a head that does not end with it.
    while !(read > 1024 && buffer[..read].ends_with(&[b'x'; 1024])) {
        let count = stream.read(&mut buffer[read..])?;
        ensure!(count > 0, "the connection was closed");
        read += count;
    }
    ensure!(buffer.starts_with(b"HTTP/1.1 200"), "it was not answered 200");
    Ok(stream)
}

/// A connection in HTTP/2 that has made one request.
async fn http2_caller(target: &Target) -> anyhow::Result<h2::client::SendRequest<Bytes>> {
    let socket = tokio::net::TcpStream::connect(target.address).await?;
    let (send, connection) = h2::client::handshake(socket).await?;
    tokio::spawn(connection);
    let mut send = send.ready().await?;
    let uri = format!("http://{}{}/1k", target.address, target.prefix);
    let request = http::Request::get(uri).header("authorization", OWN).body(())?;
    let (response, _) = send.send_request(request, true)?;
    let response = response.await?;
    ensure!(response.status() == 200, "it was answered {}", response.status());
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    send.ready().await.context("the connection was closed")
}
