//! Callers: many at once through h2load, bounded by requests; one at a time, and idle ones, by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::proxies::{Kind, Target};
use crate::{idle, pki};

/// What a caller that must not get through with it sends.
pub const OWN: &str = "Basic ZXZpbDpldmls";

/// How requests are made.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    pub connections: usize,
    /// HTTP/2, so many streams at once on each connection.
    pub streams: Option<usize>,
    pub body_file: Option<&'a str>,
    pub is_grpc: bool,
    /// Of the load itself; more than one have both cores.
    pub threads: usize,
}

impl Style<'_> {
    /// One connection of one version.
    pub fn single(is_h2: bool) -> Self {
        Self { connections: 1, streams: is_h2.then_some(1), body_file: None, is_grpc: false, threads: 1 }
    }
}

/// Makes `requests` requests; returns requests per second. Each must be answered 200.
pub fn run(target: &Target, path: &str, requests: usize, style: Style<'_>) -> anyhow::Result<f64> {
    let mut command = Command::new("h2load");
    if style.threads > 1 {
        command = Command::new("taskset");
        command.args(["-c", "0,1", "h2load"]);
    }
    command.args([
        "-t",
        &style.threads.to_string(),
        "-c",
        &style.connections.to_string(),
        "-n",
        &requests.to_string(),
    ]);
    match style.streams {
        None => command.arg("--h1"),
        Some(streams) => command.args(["-m", &streams.to_string()]),
    };
    command.args(["-H", &format!("Authorization: {OWN}")]);
    if style.is_grpc {
        command.args(["-H", "Content-Type: application/grpc", "-H", "TE: trailers"]);
    }
    if let Some(file) = style.body_file {
        command.args(["-d", file]);
    }
    let output = command
        .arg(format!("http://{}{}{path}", target.address, target.prefix))
        .output()
        .context("cannot run h2load (Debian: apt-get install nghttp2-client)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_whole = text.contains(&format!("status codes: {requests} 2xx"));
    ensure!(is_whole, "not every request to {path} was answered 200:\n{text}");
    let rate = text.split(" req/s").next().and_then(|before| before.rsplit(' ').next()?.parse().ok());
    rate.with_context(|| format!("h2load said no rate:\n{text}"))
}

/// Waits until a request is answered 200, which the upstream does for the right credential only.
pub fn wait_for(kind: Kind, target: &Target, ca_file: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answered = if kind == Kind::CallerTls {
            pki::client_config(Some(ca_file))
                .and_then(|config| idle::tls_caller(target, Arc::new(config)).map(drop))
        } else if kind.is_h2() {
            run(target, "/1k", 1, Style::single(true)).map(drop)
        } else {
            Caller::to(target).and_then(|mut caller| caller.get("/1k"))
        };
        match answered {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A new TLS connection for each of the requests, without resumption, eight at once; returns requests per second.
pub fn new_tls(target: &Target, ca_file: &str, requests: usize) -> anyhow::Result<f64> {
    const THREADS: usize = 8;
    let mut config = pki::client_config(Some(ca_file))?;
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..THREADS)
            .map(|_| {
                let connect = || idle::tls_caller(target, config.clone()).map(drop);
                scope.spawn(move || (0..requests / THREADS).try_for_each(|_| connect()))
            })
            .collect();
        callers.into_iter().try_for_each(|caller| caller.join().expect("it does not panic"))
    })?;
    Ok(requests as f64 / start.elapsed().as_secs_f64())
}

/// TLS connections that the upstream has accepted: all of them, and those that resumed a session.
pub fn handshakes(upstream: SocketAddr) -> anyhow::Result<(u64, u64)> {
    let mut socket = TcpStream::connect(upstream)?;
    socket.write_all(b"GET /handshakes HTTP/1.1\r\nHost: upstream\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    let counts = text.rsplit("\r\n\r\n").next().and_then(|body| body.split_once(' '));
    let (all, resumed) = counts.with_context(|| format!("the upstream counts nothing: {text}"))?;
    Ok((all.parse()?, resumed.parse()?))
}

/// The times of `requests` requests one after the other on one connection, sorted.
pub fn latencies(mut caller: Caller, requests: usize) -> anyhow::Result<Vec<Duration>> {
    for _ in 0..requests / 10 {
        caller.get("/1k")?;
    }
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        let start = Instant::now();
        caller.get("/1k")?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// One connection, used by hand.
pub struct Caller {
    socket: TcpStream,
    address: SocketAddr,
    prefix: String,
    authorization: String,
    buffer: Vec<u8>,
}

impl Caller {
    pub fn to(target: &Target) -> anyhow::Result<Self> {
        Self::open(target.address, target.prefix, OWN)
    }

    pub fn open(address: SocketAddr, prefix: &str, authorization: &str) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (prefix, authorization) = (prefix.to_owned(), authorization.to_owned());
        Ok(Self { socket, address, prefix, authorization, buffer: vec![0; 16 * 1024] })
    }

    /// One small request, answered 200 in whole.
    pub fn get(&mut self, path: &str) -> anyhow::Result<()> {
        let Self { address, prefix, authorization, .. } = self;
        let head = format!(
            "GET {prefix}{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\n\r\n"
        );
        self.socket.write_all(head.as_bytes())?;
        let mut filled = 0;
        loop {
            match self.socket.read(&mut self.buffer[filled..])? {
                0 => bail!("the connection was closed"),
                read => filled += read,
            }
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut fields);
            let httparse::Status::Complete(head) = response.parse(&self.buffer[..filled])? else { continue };
            ensure!(response.code == Some(200), "{path} was answered {:?}", response.code);
            let is_length = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case("content-length");
            let length = response.headers.iter().find(is_length).context("no Content-Length")?.value;
            if filled >= head + std::str::from_utf8(length)?.parse::<usize>()? {
                return Ok(());
            }
        }
    }
}
