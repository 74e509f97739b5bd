//! What the program holds in memory does not grow with what passes through it, nor much with who is connected.
//!
//! Upstream and caller are threads that make and compare bytes and keep none, so that the only memory in question is the
//! program's own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Http2, Sidekey, Upstream, allow_descriptors, assert_eventually, part, post};
use crate::suite::http::setup::{before_url, one_worker};

const MIB: usize = 1024 * 1024;
const GIB: u64 = 1 << 30;
/// No transfer may take more memory than this, however long it is.
const RISE: u64 = 16 * 1024;
/// Nothing here takes this long unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Resident memory of the program, in KiB.
fn resident(sidekey: &Sidekey) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", sidekey.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How many descriptors it has open.
fn descriptors(sidekey: &Sidekey) -> usize {
    fs::read_dir(format!("/proc/{}/fd", sidekey.process_id())).unwrap().count()
}

/// A mebibyte without a period that any buffer has.
fn block() -> Vec<u8> {
    (0..MIB).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

/// Writes so many bytes, a block at a time.
fn pour(stream: &mut TcpStream, length: u64) {
    let block = block();
    for _ in 0..length / MIB as u64 {
        stream.write_all(&block).unwrap();
    }
}

/// Reads so many bytes, each of which is as it was poured.
fn drain(stream: &mut TcpStream, length: u64) {
    let (block, mut read) = (block(), vec![0; MIB]);
    for number in 0..length / MIB as u64 {
        stream.read_exact(&mut read).unwrap();
        assert!(read == block, "mebibyte {number} is not what was sent");
    }
}

/// Reads up to the end of a head, byte by byte: nothing of a body is lost.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// An upstream that answers each request of its one connection with a body of so many bytes, after a body of so many.
fn upstream(bodies: &'static [(u64, u64)]) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        for &(request, response) in bodies {
            head(&mut stream);
            drain(&mut stream, request);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {response}\r\n\r\n").unwrap();
            pour(&mut stream, response);
        }
    });
    (address, serving)
}

/// Sends bodies of these lengths and gets bodies of those, the first pair to warm up; the program's memory is looked at all
/// the while.
async fn transfer(bodies: &'static [(u64, u64)]) {
    let (address, serving) = upstream(bodies);
    let sidekey = one_worker(&format!("http://{address}"), "").await;
    let to = sidekey.address();
    let calling = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut call = move |&(request, response): &(u64, u64)| {
            write!(stream, "POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: {request}\r\n\r\n").unwrap();
            pour(&mut stream, request);
            let head = head(&mut stream);
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            drain(&mut stream, response);
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
    assert!(highest < before + RISE, "{before} KiB before, up to {highest} KiB meanwhile");
}

const WARM: u64 = 16 * MIB as u64;

#[tokio::test]
async fn a_response_of_four_gibibytes_takes_no_memory() {
    transfer(&[(WARM, WARM), (0, 4 * GIB)]).await;
}

#[tokio::test]
async fn a_request_of_four_gibibytes_takes_no_memory() {
    transfer(&[(WARM, WARM), (4 * GIB, 0)]).await;
}

#[tokio::test]
async fn an_upstream_that_sends_faster_than_the_caller_reads_is_held_back() {
    const BODY: u64 = GIB;
    let (address, serving) = upstream(&[(0, BODY)]);
    let sidekey = before_url(&format!("http://{address}"), "").await;
    let before = resident(&sidekey);
    let to = sidekey.address();
    let mut stream = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        head(&mut stream);
        stream
    })
    .await
    .unwrap();
    // As long as anything is taken in, more would be.
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = resident(&sidekey);
        assert!(now < before + RISE, "{before} KiB before, {now} KiB while the caller reads nothing");
    }
    assert!(!serving.is_finished(), "the upstream waits");
    tokio::task::spawn_blocking(move || drain(&mut stream, BODY)).await.unwrap();
    serving.join().unwrap();
    let after = resident(&sidekey);
    assert!(after < before + RISE, "{before} KiB before, {after} KiB after");
}

/// Sends so many bytes of a body by HTTP/2, as there is room for them.
async fn pour_http2(stream: &mut h2::SendStream<Bytes>, length: u64) {
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

/// Counts what a body has.
async fn drain_http2(body: &mut h2::RecvStream) -> u64 {
    let mut count = 0;
    while let Some(part) = part(body).await {
        count += part.len() as u64;
    }
    count
}

#[tokio::test]
async fn bodies_by_http2_on_both_sides_take_no_memory() {
    const BODY: u64 = 48 * MIB as u64;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        while let Some(accepted) = connection.accept().await {
            let (request, mut respond) = accepted.unwrap();
            tokio::spawn(async move {
                let length = request.headers()["x-length"].to_str().unwrap().parse().unwrap();
                let read = drain_http2(&mut request.into_body()).await;
                let answer = http::Response::builder().header("x-read", read).body(()).unwrap();
                pour_http2(&mut respond.send_response(answer, false).unwrap(), length).await;
            });
        }
    });
    let sidekey = one_worker(&format!("http://{address}"), ", protocol: http2").await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut before = 0;
    for length in [WARM, BODY] {
        let mut request = post("/api/x");
        request.headers_mut().insert("x-length", length.into());
        let mut stream = caller.begin(request).await;
        let calling = tokio::spawn(async move {
            pour_http2(&mut stream.up, length).await;
            let answer = stream.head().await.unwrap();
            assert_eq!(answer.headers()["x-read"], length.to_string());
            drain_http2(&mut answer.into_body()).await
        });
        let mut highest = 0;
        while !calling.is_finished() {
            highest = highest.max(resident(&sidekey));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(calling.await.unwrap(), length);
        if before > 0 {
            assert!(highest < before + RISE, "{before} KiB before, up to {highest} KiB meanwhile");
        }
        before = resident(&sidekey);
    }
}

/// Callers that say nothing for now.
const IDLE: usize = 10_000;
/// Resident memory that one of them may take in a build without optimization, in KiB.
const EACH: u64 = 32;

#[tokio::test]
async fn ten_thousand_idle_callers_are_held_and_served() {
    // The program inherits it.
    allow_descriptors(IDLE as u64 + 2000);
    let upstream = Upstream::plain().await;
    let sidekey = before_url(&upstream.url(), "").await;
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
    let (memory, files) = (resident(&sidekey), descriptors(&sidekey));
    let mut callers = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        callers.push(tokio::net::TcpStream::connect(sidekey.address()).await.unwrap());
    }
    // What was open before may have been closed meanwhile.
    let held = async || descriptors(&sidekey) > IDLE;
    assert_eventually(PATIENCE, "every connection is accepted", held).await;
    // Idle as most of them are: after a request.
    let mut answer = [0; 1024];
    for round in 0..2 {
        // At first all of them, and every hundredth after a time in which nothing was said.
        for caller in callers.iter_mut().step_by(if round == 0 { 1 } else { 100 }) {
            caller.write_all(b"GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut count = 0;
            while !answer[..count].ends_with(b"\r\n\r\nok") {
                let read = caller.read(&mut answer[count..]).await.unwrap();
                assert_ne!(read, 0, "closed after {count} bytes of an answer");
                count += read;
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 "));
        }
        let now = resident(&sidekey);
        let each = now.saturating_sub(memory) / IDLE as u64;
        assert!(each < EACH, "{each} KiB for each idle connection: {memory} KiB before, {now} KiB now");
    }
    drop(callers);
    // The upstream's connection stays, or another one.
    let let_go = async || descriptors(&sidekey) <= files + 20;
    assert_eventually(PATIENCE, "every connection is let go", let_go).await;
    assert_eq!(sidekey.get("/api/x").await.text(), "ok");
}
