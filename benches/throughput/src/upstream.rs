//! The upstream of every proxy: answers from memory, and only to a request with the right credential, and that once.
//!
//! So that it costs little beside what is measured it knows just enough HTTP for its callers. It is the token endpoint
//! for Sidekey's service with a token, too.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{authorization, pki, upstream_h2};

/// What is asked for where every request is to have a connection of its own.
const CLOSE: &str = "/close";
/// Where the number of TLS connections is asked for.
const HANDSHAKES: &str = "/handshakes";
const REFUSAL: &[u8] = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";

/// `/1k`, `/64k` and `/1m`, ready to be written, `/close`, which is `/1k` on a connection that ends with it, and tokens.
struct Answers {
    pages: Vec<(String, Vec<u8>)>,
    close: Vec<u8>,
    token: Vec<u8>,
    short_token: Vec<u8>,
    /// TLS connections, and those of them that resumed a session.
    handshakes: (AtomicU64, AtomicU64),
}

impl Answers {
    fn new() -> Self {
        let answer = |kind: &str, body: &[u8]| {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), body].concat()
        };
        let page = |(path, size): (&str, usize)| (path.to_owned(), answer("text/plain", &vec![b'x'; size]));
        let bare = authorization().trim_start_matches("Bearer ");
        let token = |lifetime: u32| {
            let token =
                format!(r#"{{"access_token":"{bare}","token_type":"Bearer","expires_in":{lifetime}}}"#);
            answer("application/json", token.as_bytes())
        };
        let small = answer("text/plain\r\nConnection: close", &[b'x'; 1 << 10]);
        Self {
            pages: [("/1k", 1 << 10), ("/64k", 1 << 16), ("/1m", 1 << 20)].map(page).into(),
            close: small,
            token: token(3600),
            short_token: token(1),
            handshakes: (AtomicU64::new(0), AtomicU64::new(0)),
        }
    }

    fn record_handshake(&self, kind: Option<HandshakeKind>) {
        self.handshakes.0.fetch_add(1, Ordering::Relaxed);
        if kind == Some(HandshakeKind::Resumed) {
            self.handshakes.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn handshakes(&self) -> Vec<u8> {
        let (all, resumed) = &self.handshakes;
        let body = format!("{} {}", all.load(Ordering::Relaxed), resumed.load(Ordering::Relaxed));
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn to(&self, request: &httparse::Request<'_, '_>) -> &[u8] {
        let path = request.path.unwrap_or_default();
        match path {
            "/token" => return &self.token,
            "/token-1s" => return &self.short_token,
            _ => {}
        }
        let is_authorization =
            |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case("authorization");
        let mut given = request.headers.iter().filter(is_authorization).map(|field| field.value);
        if given.next() != Some(authorization().as_bytes()) || given.next().is_some() {
            return REFUSAL;
        }
        if path == CLOSE {
            return &self.close;
        }
        self.pages.iter().find(|(own, _)| own == path).map_or(REFUSAL, |(_, page)| page)
    }
}

/// Serves forever: plain, over TLS, and HTTP/2.
pub fn run(plain: SocketAddr, tls: SocketAddr, h2: SocketAddr, dir: &Path) -> anyhow::Result<()> {
    let answers = Arc::new(Answers::new());
    let acceptor = TlsAcceptor::from(pki::server_config(dir)?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (plain, tls) = (TcpListener::bind(plain).await?, TcpListener::bind(tls).await?);
        let h2 = TcpListener::bind(h2).await?;
        tokio::spawn(async move {
            while let Ok(socket) = accept(&h2).await {
                tokio::spawn(upstream_h2::serve(socket));
            }
        });
        let own = answers.clone();
        tokio::spawn(async move {
            while let Ok(socket) = accept(&tls).await {
                let (acceptor, answers) = (acceptor.clone(), own.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        answers.record_handshake(stream.get_ref().1.handshake_kind());
                        serve(stream, &answers).await;
                    }
                });
            }
        });
        loop {
            let (socket, answers) = (accept(&plain).await?, answers.clone());
            tokio::spawn(async move { serve(socket, &answers).await });
        }
    })
}

async fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

async fn serve(mut io: impl AsyncRead + AsyncWrite + Unpin, answers: &Answers) {
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut counts;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        let (head, length, answer, ends) = match request.parse(&buffer) {
            Ok(httparse::Status::Complete(head)) if request.path == Some(HANDSHAKES) => {
                counts = answers.handshakes();
                (head, 0, &counts[..], true)
            }
            Ok(httparse::Status::Complete(head)) => {
                (head, content_length(&request), answers.to(&request), request.path == Some(CLOSE))
            }
            Ok(httparse::Status::Partial) => match io.read_buf(&mut buffer).await {
                Ok(1..) => continue,
                _ => return,
            },
            Err(_) => return,
        };
        while buffer.len() < head + length {
            if !matches!(io.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        }
        buffer.drain(..head + length);
        if io.write_all(answer).await.is_err() || io.flush().await.is_err() {
            return;
        }
        if ends {
            let _ = io.shutdown().await;
            return;
        }
    }
}

/// Of a body; chunked coding is not understood, and no proxy here makes any of what has a length.
fn content_length(request: &httparse::Request<'_, '_>) -> usize {
    let field = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    field.and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok()).unwrap_or(0)
}
