//! Memory use: constant for bodies of any size, and small for each idle connection.
//!
//! Upstream and caller are threads that generate and compare bytes and keep none, so that only the program's
//! own memory is measured.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Http2, MockUpstream, Sidekey, allow_descriptors, assert_eventually, part, post};
use crate::suite::http::setup::{sidekey_for_url, sidekey_with_one_worker};
use crate::suite::reload::setup::bearer;

const MIB: usize = 1024 * 1024;
const GIB: u64 = 1 << 30;
/// Limit of the memory growth during a transfer, in KiB, however long it is.
const MAX_GROWTH_KIB: u64 = 16 * 1024;
/// Limit of each wait: nothing here takes this long unless something hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Resident memory of the program, in KiB.
fn resident(sidekey: &Sidekey) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", sidekey.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Number of its open file descriptors.
fn descriptors(sidekey: &Sidekey) -> usize {
    fs::read_dir(format!("/proc/{}/fd", sidekey.process_id())).unwrap().count()
}

/// A mebibyte whose pattern has no period in common with any buffer.
fn block() -> Vec<u8> {
    (0..MIB).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

/// Writes `length` bytes, a block at a time.
fn write_blocks(stream: &mut TcpStream, length: u64) {
    let block = block();
    for _ in 0..length / MIB as u64 {
        stream.write_all(&block).unwrap();
    }
}

/// Reads `length` bytes and checks that each is as it was written.
fn read_blocks(stream: &mut TcpStream, length: u64) {
    let (block, mut read) = (block(), vec![0; MIB]);
    for number in 0..length / MIB as u64 {
        stream.read_exact(&mut read).unwrap();
        assert!(read == block, "mebibyte {number} is not what was sent");
    }
}

/// Reads up to the end of a head, byte by byte, so that nothing of a body is lost.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// An upstream with one connection; `bodies` are the lengths of the request and response body of each
/// exchange.
fn upstream(bodies: &'static [(u64, u64)]) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        for &(request, response) in bodies {
            head(&mut stream);
            read_blocks(&mut stream, request);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {response}\r\n\r\n").unwrap();
            write_blocks(&mut stream, response);
        }
    });
    (address, serving)
}

/// Exchanges request and response bodies of these lengths, the first pair to warm up, and measures the
/// program's memory meanwhile.
async fn transfer(bodies: &'static [(u64, u64)]) {
    let (address, serving) = upstream(bodies);
    let sidekey = sidekey_with_one_worker(&format!("http://{address}"), "").await;
    let to = sidekey.address();
    let calling = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        let mut call = move |&(request, response): &(u64, u64)| {
            write!(stream, "POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {request}\r\n\r\n")
                .unwrap();
            write_blocks(&mut stream, request);
            let head = head(&mut stream);
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            read_blocks(&mut stream, response);
        };
        call(&bodies[0]);
        (call, bodies)
    });
    let (mut call, bodies) = calling.await.unwrap();
    let before = resident(&sidekey);
    let calling = tokio::task::spawn_blocking(move || bodies[1..].iter().for_each(&mut call));
    let mut highest = 0;
    while !calling.is_finished() {
        highest = highest.max(resident(&sidekey));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    calling.await.unwrap();
    serving.join().unwrap();
    assert!(highest < before + MAX_GROWTH_KIB, "{before} KiB before, up to {highest} KiB meanwhile");
}

const WARM: u64 = 16 * MIB as u64;

#[tokio::test]
async fn response_of_4_gib_takes_constant_memory() {
    transfer(&[(WARM, WARM), (0, 4 * GIB)]).await;
}

#[tokio::test]
async fn request_of_4_gib_takes_constant_memory() {
    transfer(&[(WARM, WARM), (4 * GIB, 0)]).await;
}

#[tokio::test]
async fn upstream_faster_than_caller_takes_constant_memory() {
    const BODY: u64 = GIB;
    let (address, serving) = upstream(&[(0, BODY)]);
    let sidekey = sidekey_for_url(&format!("http://{address}"), "").await;
    let before = resident(&sidekey);
    let to = sidekey.address();
    let mut stream = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(b"GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        head(&mut stream);
        stream
    })
    .await
    .unwrap();
    // Without back-pressure the memory would grow in this time.
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = resident(&sidekey);
        assert!(
            now < before + MAX_GROWTH_KIB,
            "{before} KiB before, {now} KiB while the caller reads nothing"
        );
    }
    assert!(!serving.is_finished(), "the upstream waits");
    tokio::task::spawn_blocking(move || read_blocks(&mut stream, BODY)).await.unwrap();
    serving.join().unwrap();
    let after = resident(&sidekey);
    assert!(after < before + MAX_GROWTH_KIB, "{before} KiB before, {after} KiB after");
}

/// Sends a body of `length` bytes over HTTP/2, as flow control allows.
async fn write_http2_body(stream: &mut h2::SendStream<Bytes>, length: u64) {
    let block = Bytes::from(block());
    let mut left = length;
    while left > 0 {
        stream.reserve_capacity(MIB);
        let room =
            std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.expect("an open stream").unwrap();
        let count = room.min(MIB).min(usize::try_from(left).unwrap_or(usize::MAX));
        left -= count as u64;
        stream.send_data(block.slice(..count), left == 0).unwrap();
    }
}

/// Reads a body; returns its length.
async fn read_http2_body(body: &mut h2::RecvStream) -> u64 {
    let mut count = 0;
    while let Some(part) = part(body).await {
        count += part.len() as u64;
    }
    count
}

#[tokio::test]
async fn http2_bodies_take_constant_memory() {
    const BODY: u64 = 48 * MIB as u64;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        while let Some(accepted) = connection.accept().await {
            let (request, mut respond) = accepted.unwrap();
            tokio::spawn(async move {
                let length = request.headers()["x-length"].to_str().unwrap().parse().unwrap();
                let read = read_http2_body(&mut request.into_body()).await;
                let answer = http::Response::builder().header("x-read", read).body(()).unwrap();
                write_http2_body(&mut respond.send_response(answer, false).unwrap(), length).await;
            });
        }
    });
    let sidekey = sidekey_with_one_worker(&format!("http://{address}"), ", protocol: http2").await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut before = 0;
    for length in [WARM, BODY] {
        let mut request = post("/api/x");
        request.headers_mut().insert("x-length", length.into());
        let mut stream = caller.begin(request).await;
        let calling = tokio::spawn(async move {
            write_http2_body(&mut stream.up, length).await;
            let answer = stream.head().await.unwrap();
            assert_eq!(answer.headers()["x-read"], length.to_string());
            read_http2_body(&mut answer.into_body()).await
        });
        let mut highest = 0;
        while !calling.is_finished() {
            highest = highest.max(resident(&sidekey));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(calling.await.unwrap(), length);
        if before > 0 {
            assert!(highest < before + MAX_GROWTH_KIB, "{before} KiB before, up to {highest} KiB meanwhile");
        }
        before = resident(&sidekey);
    }
}

/// Number of idle connections.
const IDLE_CONNECTIONS: usize = 10_000;
/// Limit of the resident memory of one of them, in a build without optimization, in KiB.
const MAX_KIB_PER_CONNECTION: u64 = 32;

#[tokio::test]
async fn idle_connections_10_000_are_kept_and_served() {
    // The program inherits the limit.
    allow_descriptors(IDLE_CONNECTIONS as u64 + 2000);
    let upstream = MockUpstream::plain().await;
    let service = bearer("api", &upstream, "t0ken");
    let sidekey = Sidekey::serving(&service).traceable().start().await;
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
    let (memory, files) = (resident(&sidekey), descriptors(&sidekey));
    let mut callers = Vec::with_capacity(IDLE_CONNECTIONS);
    for _ in 0..IDLE_CONNECTIONS {
        callers.push(tokio::net::TcpStream::connect(sidekey.address()).await.unwrap());
    }
    // Descriptors that were open before may have been closed meanwhile.
    let held = async || descriptors(&sidekey) > IDLE_CONNECTIONS;
    assert_eventually(TIMEOUT, "every connection is accepted", held).await;
    // Idle like most real connections: after a request.
    let mut answer = [0; 1024];
    for round in 0..2 {
        // First all of them, and then every hundredth after it was idle.
        for caller in callers.iter_mut().step_by(if round == 0 { 1 } else { 100 }) {
            caller.write_all(b"GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
            let mut count = 0;
            while !answer[..count].ends_with(b"\r\n\r\nok") {
                let read = caller.read(&mut answer[count..]).await.unwrap();
                assert_ne!(read, 0, "closed after {count} bytes of an answer");
                count += read;
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 "));
        }
        let now = resident(&sidekey);
        let each = now.saturating_sub(memory) / IDLE_CONNECTIONS as u64;
        assert!(
            each < MAX_KIB_PER_CONNECTION,
            "{each} KiB for each idle connection: {memory} KiB before, {now} KiB now"
        );
    }
    drop(callers);
    // Some connections to the upstream may stay open.
    let closed = async || descriptors(&sidekey) <= files + 20;
    assert_eventually(TIMEOUT, "every connection is closed", closed).await;
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
}
