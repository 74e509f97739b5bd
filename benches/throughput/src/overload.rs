//! Load that does not wait: requests are due at fixed times, whether those before were answered or not, on as many connections as are
//! asked for. A time counts from when its request was due, so that no omission is hidden. `scripts/overload` runs it.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Connections from one address of this machine: few enough that a free port is found at once.
const CONNECTIONS_OF_AN_ADDRESS: usize = 2_000;
/// Connections that are opened at a time.
const OPENED_AT_ONCE: usize = 200;
/// How long a caller waits for an answer, from when its request was due.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time from the last connection to the first request.
const HEAD_START: Duration = Duration::from_secs(1);

/// What is sent.
#[derive(Args)]
pub struct Load {
    /// Where to.
    address: SocketAddrV4,
    /// The path of every request.
    path: String,
    /// Requests per second, over all connections.
    #[arg(long)]
    rate: f64,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Connections that requests are sent on, in turn.
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Connections beside them: each is answered once before and once after the load.
    #[arg(long, default_value_t = 0)]
    idle: usize,
}

/// The outcome of all requests.
#[derive(Default)]
struct Outcome {
    /// Microseconds to each answer 200.
    answered: Vec<u64>,
    /// Microseconds to each answer 503.
    rejected: Vec<u64>,
    /// Requests that were due and got no answer in time.
    unanswered: u64,
    /// Any other answer.
    others: u64,
    /// Connections that could not be opened, or ended without an answer.
    broken: u64,
}

/// Sends the load; prints what came of it as JSON.
pub fn run(load: &Load) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, send(load))
}

async fn send(load: &Load) -> anyhow::Result<Value> {
    let request: Rc<[u8]> =
        format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", load.path, load.address).into_bytes().into();
    let mut sockets = Vec::new();
    for first in (0..load.connections + load.idle).step_by(OPENED_AT_ONCE) {
        let last = (first + OPENED_AT_ONCE).min(load.connections + load.idle);
        let opening: Vec<_> =
            (first..last).map(|number| tokio::task::spawn_local(open(load.address, number))).collect();
        for opened in opening {
            sockets.push(opened.await?.with_context(|| format!("after {} connections", sockets.len()))?);
        }
    }
    let mut idle = sockets.split_off(load.connections);
    let before = answered_on(&mut idle, &request).await;
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let start = Instant::now() + HEAD_START;
    let callers: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(number, socket)| {
            let schedule = Schedule::of(load, number, start);
            tokio::task::spawn_local(call(
                load.address,
                number,
                socket,
                schedule,
                request.clone(),
                outcome.clone(),
            ))
        })
        .collect();
    for caller in callers {
        caller.await?;
    }
    let took = start.elapsed().as_secs_f64();
    let after = answered_on(&mut idle, &request).await;
    let Outcome { answered, rejected, unanswered, others, broken } = &mut *outcome.borrow_mut();
    Ok(json!({
        "offered_per_second": load.rate,
        "answered_per_second": answered.len() as f64 / took,
        "rejected_per_second": rejected.len() as f64 / took,
        "unanswered": unanswered, "others": others, "broken": broken,
        "answered_us": quantiles(answered), "rejected_us": quantiles(rejected),
        "idle": load.idle, "idle_answered_before": before, "idle_answered_after": after,
    }))
}

/// When the requests of one connection are due.
struct Schedule {
    first: Instant,
    interval: Duration,
    end: Instant,
}

impl Schedule {
    fn of(load: &Load, number: usize, start: Instant) -> Self {
        let interval = Duration::from_secs_f64(load.connections as f64 / load.rate);
        let offset = Duration::from_secs_f64(number as f64 / load.rate);
        Self { first: start + offset, interval, end: start + Duration::from_secs_f64(load.seconds) }
    }
}

/// Sends the requests of one connection. One that is due while another one waits for its answer is sent after it, late.
async fn call(
    address: SocketAddrV4,
    number: usize,
    socket: TcpStream,
    schedule: Schedule,
    request: Rc<[u8]>,
    outcome: Rc<RefCell<Outcome>>,
) {
    let (mut connection, mut due) = (Some(socket), schedule.first);
    let mut buffer = vec![0; 4096];
    while due < schedule.end {
        sleep_until(due).await;
        if due.elapsed() > PATIENCE {
            outcome.borrow_mut().unanswered += 1;
        } else {
            if connection.is_none() {
                connection = open(address, number).await.ok();
            }
            let answer = match &mut connection {
                Some(socket) => timeout(PATIENCE, exchange(socket, &request, &mut buffer)).await,
                None => Ok(Err(anyhow::anyhow!("no connection"))),
            };
            let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            let mut outcome = outcome.borrow_mut();
            match answer {
                Ok(Ok((200, is_last))) => {
                    outcome.answered.push(micros);
                    connection = connection.filter(|_| !is_last);
                }
                Ok(Ok((503, is_last))) => {
                    outcome.rejected.push(micros);
                    connection = connection.filter(|_| !is_last);
                }
                Ok(Ok(_)) => outcome.others += 1,
                Ok(Err(_)) => {
                    outcome.broken += 1;
                    connection = None;
                }
                Err(_) => {
                    outcome.unanswered += 1;
                    connection = None;
                }
            }
        }
        due += schedule.interval;
    }
}

/// One request and its answer: the status, and whether the connection ends.
async fn exchange(socket: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> anyhow::Result<(u16, bool)> {
    socket.write_all(request).await?;
    let mut filled = 0;
    loop {
        match socket.read(&mut buffer[filled..]).await? {
            0 => bail!("the connection was closed"),
            read => filled += read,
        }
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut fields);
        let httparse::Status::Complete(head) = response.parse(&buffer[..filled])? else { continue };
        let field = |name: &str| {
            let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            found.map(|field| String::from_utf8_lossy(field.value).into_owned())
        };
        let length: usize = field("content-length").context("no Content-Length")?.parse()?;
        let is_last = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let status = response.code.context("no status")?;
        while filled < head + length {
            match socket.read(&mut buffer[filled..]).await? {
                0 => bail!("the connection was closed"),
                read => filled += read,
            }
        }
        return Ok((status, is_last));
    }
}

/// Opens a connection, from one of the addresses of this machine's loopback.
async fn open(address: SocketAddrV4, number: usize) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let own = u8::try_from(2 + number / CONNECTIONS_OF_AN_ADDRESS)?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, own), 0)))?;
    let stream = socket.connect(address.into()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How many of these connections have a request answered.
async fn answered_on(sockets: &mut [TcpStream], request: &[u8]) -> usize {
    let (mut answered, mut buffer) = (0, vec![0; 4096]);
    for socket in sockets {
        if let Ok(Ok((200, _))) = timeout(PATIENCE, exchange(socket, request, &mut buffer)).await {
            answered += 1;
        }
    }
    answered
}

fn quantiles(micros: &mut [u64]) -> Value {
    micros.sort_unstable();
    let at = |part: usize| micros.get(micros.len() * part / 1000).copied();
    json!({ "p50": at(500), "p99": at(990), "p999": at(999), "max": micros.last() })
}

/// Serves forever as an upstream: 1 KB for each request, and no answer at all if `hangs`.
pub fn serve(address: SocketAddr, hangs: bool) -> anyhow::Result<()> {
    let body = "x".repeat(1024);
    let answer: Rc<[u8]> =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes().into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (mut socket, _) = listener.accept().await?;
            let answer = answer.clone();
            tokio::task::spawn_local(async move {
                let (mut buffer, mut filled) = (vec![0; 4096], 0);
                while let Ok(read @ 1..) = socket.read(&mut buffer[filled..]).await {
                    filled += read;
                    if buffer[..filled].ends_with(b"\r\n\r\n") && !hangs {
                        filled = 0;
                        if socket.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    })
}
