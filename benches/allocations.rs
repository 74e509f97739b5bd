//! How often a request allocates: the whole program in this process, a counting allocator under it, and callers and an
//! upstream that never allocate themselves.
//!
//! `cargo bench --bench allocations`

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use sidekey::app::App;
use sidekey::config::{Config, ListenAddress};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: u32 = 2000;
const TOKEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 62\r\n\r\n\
                       {\"access_token\":\"abc\",\"token_type\":\"Bearer\",\"expires_in\":3600}";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let upstream = upstream();
    let config = Config::parse(
        &format!(
            "
listen: 127.0.0.1:0
admin: 127.0.0.1:0
threads: 1
services:
  static: {{ upstream: 'http://{upstream}', auth: {{ type: bearer, token: t }} }}
  oauth2:
    upstream: http://{upstream}
    auth: {{ type: oauth2, grant_type: client_credentials, token_url: 'http://{upstream}/token', client_id: a, client_secret: b }}
"
        ),
        "bench.yaml", sidekey::credential::READERS)
    .unwrap_or_else(|error| panic!("{error}"));
    let app = runtime.block_on(async { App::start(&config) }).unwrap();
    let ListenAddress::Tcp(address) = app.listeners()[0].address else { panic!("a TCP listener") };

    println!("{:<28}{:>24}{:>16}", "", "allocations per request", "bytes");
    for (name, service, path, body) in [
        ("GET 1 KB, static", "static", "1k", 0),
        ("GET 1 KB, OAuth2", "oauth2", "1k", 0),
        ("GET 64 KB, static", "static", "64k", 0),
        ("POST 16 KB, static", "static", "1k", 16 * 1024),
    ] {
        let mut caller = Caller::new(address, &format!("/{service}/{path}"), body);
        (0..200).for_each(|_| caller.call());
        let region = Region::new(ALLOCATOR);
        (0..REQUESTS).for_each(|_| caller.call());
        let change = region.change();
        let each = |count: usize| f64::from(u32::try_from(count).unwrap()) / f64::from(REQUESTS);
        let (count, bytes) = (each(change.allocations + change.reallocations), each(change.bytes_allocated));
        println!("{name:<28}{count:>24.3}{bytes:>16.1}");
    }
    runtime.block_on(app.stop());
}

struct Caller {
    socket: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Caller {
    fn new(address: SocketAddr, path: &str, body: usize) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        let method = if body > 0 { "POST" } else { "GET" };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {body}\r\n\r\n");
        Self { socket, request: [head.into_bytes(), vec![b'x'; body]].concat(), buffer: vec![0; 256 * 1024] }
    }

    fn call(&mut self) {
        self.socket.write_all(&self.request).unwrap();
        let (head, body) = read_message(&mut self.socket, &mut self.buffer).unwrap();
        assert!(self.buffer[..head].starts_with(b"HTTP/1.1 200") && body >= 1024);
    }
}

/// A thread for each connection; allocates when one opens only.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let page = |size: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; size]].concat()
    };
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let (small, large) = (page(1 << 10), page(1 << 16));
            std::thread::spawn(move || {
                let mut buffer = vec![0; 256 * 1024];
                while read_message(&mut socket, &mut buffer).is_some() {
                    let answer = match buffer.split(|byte| *byte == b' ').nth(1) {
                        Some(b"/token") => TOKEN,
                        Some(b"/64k") => &large,
                        _ => &small,
                    };
                    socket.write_all(answer).unwrap();
                }
            });
        }
    });
    address
}

/// Reads a head and a body of the length it says; returns the lengths of both.
fn read_message(socket: &mut TcpStream, buffer: &mut [u8]) -> Option<(usize, usize)> {
    let mut filled = 0;
    loop {
        match socket.read(&mut buffer[filled..]).ok()? {
            0 => return None,
            read => filled += read,
        }
        let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let (head, name) = (end + 4, b"content-length: ");
        let at = buffer[..head].windows(name.len()).position(|window| window.eq_ignore_ascii_case(name));
        let digits = at.map_or(&b""[..], |at| &buffer[at + name.len()..head]);
        let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
        let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        if filled >= head + length {
            return Some((head, length));
        }
    }
}
