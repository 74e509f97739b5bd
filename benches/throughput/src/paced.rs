//! Latency at several connections: one request after the other on each (closed loop), or at a fixed rate (open loop).
//!
//! In the open loop each request has a time at which it is due, and its latency is counted from then on. A proxy that
//! falls behind is charged with the time that requests wait for it (coordinated omission).

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::load::OWN;
use crate::proxies::Target;

/// How requests are made.
#[derive(Clone, Copy)]
pub struct Pace {
    pub connections: usize,
    /// Requests per second of all connections; `None`: each connection sends the next one at once.
    pub rate: Option<f64>,
    pub duration: Duration,
}

/// What the requests took.
pub struct Latencies {
    sorted: Vec<Duration>,
    /// Answers per second.
    pub rate: f64,
}

impl Latencies {
    /// The latency in microseconds within which `permille` of a thousand requests were answered.
    pub fn micros(&self, permille: usize) -> f64 {
        self.sorted[self.sorted.len() * permille / 1000].as_secs_f64() * 1e6
    }
}

/// GET 1 KB, again and again for a while.
pub fn run(target: &Target, pace: Pace) -> anyhow::Result<Latencies> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..pace.connections {
            connections.push(Connection::open(target).await?);
        }
        let start = Instant::now() + Duration::from_millis(10);
        let mut running = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            running.spawn(connection.requests(start, number, pace));
        }
        let mut sorted = Vec::new();
        while let Some(times) = running.join_next().await {
            sorted.extend(times??);
        }
        ensure!(!sorted.is_empty(), "no request was made");
        let rate = sorted.len() as f64 / start.elapsed().as_secs_f64();
        sorted.sort_unstable();
        Ok(Latencies { sorted, rate })
    })
}

struct Connection {
    socket: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(target: &Target) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(target.address).await?;
        socket.set_nodelay(true)?;
        let request = format!(
            "GET {}/1k HTTP/1.1\r\nHost: {}\r\nAuthorization: {OWN}\r\n\r\n",
            target.prefix, target.address
        );
        Ok(Self { socket, request: request.into_bytes(), buffer: Vec::with_capacity(16 * 1024) })
    }

    /// The latencies of its requests.
    async fn requests(mut self, start: Instant, number: usize, pace: Pace) -> anyhow::Result<Vec<Duration>> {
        let interval = pace.rate.map(|rate| Duration::from_secs_f64(pace.connections as f64 / rate));
        let mut due = start;
        if let Some(interval) = interval {
            due += interval.mul_f64(number as f64 / pace.connections as f64);
        }
        let mut times = Vec::new();
        while due < start + pace.duration {
            tokio::time::sleep_until(due.into()).await;
            self.get().await?;
            let now = Instant::now();
            times.push(now - due);
            due = interval.map_or(now, |interval| due + interval);
        }
        Ok(times)
    }

    async fn get(&mut self) -> anyhow::Result<()> {
        self.socket.write_all(&self.request).await?;
        self.buffer.clear();
        loop {
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
            // Each time: the head of Envoy has a time in milliseconds, whose length changes.
            if whole_length(&self.buffer)?.is_some_and(|length| self.buffer.len() >= length) {
                ensure!(self.buffer.starts_with(b"HTTP/1.1 200"), "a request was not answered 200");
                return Ok(());
            }
        }
    }
}

/// The length of head and body; `None` if the head is not whole.
fn whole_length(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(bytes)? else { return Ok(None) };
    let is_length = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case("content-length");
    let length = response.headers.iter().find(is_length).context("no Content-Length")?.value;
    Ok(Some(head + std::str::from_utf8(length)?.parse::<usize>()?))
}
