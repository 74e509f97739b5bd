//! A recording HTTP/2 server. The path selects the response:
//!
//! `/echo` the body, part by part, and the trailers · `/trailers-only` · `/hints/N` N × 103 first, one without N ·
//! `/grpc/head`, `/grpc/trailers`, `/grpc/late` gRPC's UNAUTHENTICATED in the head, in trailers, behind a message ·
//! `/large/N` a field of N bytes · `/status/N` ·
//! `/reset/N` at once · `/half/N` half a response, then a reset with code N · `/hang` · `/early` a response
//! before the body is read; otherwise: `ok`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Method, Request, Response, Uri};
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::{Pki, assert_eventually};

/// The server. It stops when dropped.
pub struct MockHttp2Upstream {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Http2Request>>,
    connections: AtomicUsize,
    streams: Option<u32>,
    accepts: Mutex<Option<Accepts>>,
    rejection: Mutex<Option<(u16, &'static str)>>,
}

/// Decides whether a token is accepted.
type Accepts = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Http2Request {
    pub connection: usize,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
    /// Whether it was received completely.
    pub complete: bool,
    /// The error code if the client reset the stream.
    pub reset: Option<h2::Reason>,
}

impl MockHttp2Upstream {
    /// A server without TLS, with prior knowledge.
    pub async fn plain() -> Self {
        Self::start(None, None).await
    }

    /// A server without TLS that allows `streams` concurrent streams.
    pub async fn with_max_streams(streams: u32) -> Self {
        Self::start(None, Some(streams)).await
    }

    /// An HTTPS server for `localhost` that offers these protocols by ALPN.
    pub async fn tls(pki: &Pki, alpn: &[&str]) -> Self {
        let mut config = ServerConfig::clone(&pki.server(&["localhost"]));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self::start(Some(Arc::new(config)), None).await
    }

    async fn start(tls: Option<Arc<ServerConfig>>, streams: Option<u32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { streams, ..Shared::default() });
        let is_tls = tls.is_some();
        let task = tokio::spawn(accept(listener, tls, shared.clone())).abort_handle();
        Self { address, tls: is_tls, shared, task }
    }

    pub fn url(&self) -> String {
        let port = self.address.port();
        if self.tls { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn requests(&self) -> Vec<Http2Request> {
        self.shared.requests.lock().clone()
    }

    pub fn last_request(&self) -> Http2Request {
        self.requests().pop().expect("a request")
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// From now on responds 401, after reading the body, to every request whose bearer token is not accepted.
    pub fn guarded(&self, accepts: impl Fn(&str) -> bool + Send + Sync + 'static) {
        *self.shared.accepts.lock() = Some(Box::new(accepts));
    }

    /// From now on a rejection has this status and this text in place of a 401.
    pub fn rejecting_with(&self, status: u16, text: &'static str) {
        *self.shared.rejection.lock() = Some((status, text));
    }

    /// Waits until `count` requests have been received, complete or not.
    pub async fn received(&self, count: usize) {
        let what = format!("{count} requests at the upstream");
        assert_eventually(Duration::from_secs(20), &what, async || self.requests().len() >= count).await;
    }
}

impl Shared {
    fn authorizes(&self, fields: &HeaderMap) -> bool {
        let accepts = self.accepts.lock();
        let Some(accepts) = &*accepts else { return true };
        let value = fields.get("authorization").and_then(|value| value.to_str().ok());
        value.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(accepts)
    }
}

impl Drop for MockHttp2Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<Arc<ServerConfig>>, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        tcp.set_nodelay(true).unwrap();
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let (tls, shared) = (tls.clone(), shared.clone());
        connections.spawn(async move {
            match tls {
                None => serve(tcp, number, shared).await,
                Some(config) => {
                    if let Ok(stream) = TlsAcceptor::from(config).accept(tcp).await {
                        serve(stream, number, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, number: usize, shared: Arc<Shared>) {
    let mut builder = h2::server::Builder::new();
    if let Some(streams) = shared.streams {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else { return };
    let mut streams = tokio::task::JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (parts, body) = request.into_parts();
        let index = {
            let mut requests = shared.requests.lock();
            requests.push(Http2Request {
                connection: number,
                method: parts.method.clone(),
                uri: parts.uri.clone(),
                headers: parts.headers.clone(),
                body: Vec::new(),
                trailers: HeaderMap::new(),
                complete: false,
                reset: None,
            });
            requests.len() - 1
        };
        let shared = shared.clone();
        streams.spawn(async move { answer(Request::from_parts(parts, body), respond, index, &shared).await });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    index: usize,
    shared: &Shared,
) {
    let (parts, mut body) = request.into_parts();
    let words: Vec<_> = parts.uri.path().split('/').skip(1).collect();
    let number = words.get(1).and_then(|word| word.parse::<u32>().ok()).unwrap_or(0);
    let ok = |length: usize| Response::builder().header("content-length", length).body(()).unwrap();
    if words[0] == "echo" {
        let echo = Response::builder().header("x-echo", "1").body(()).unwrap();
        let mut out = respond.send_response(echo, false).unwrap();
        while let Some(part) = next(&mut body, index, shared).await {
            let _ = out.send_data(part, false);
        }
        let trailers = finish(&mut body, index, shared).await;
        let _ = out.send_trailers(trailers);
        return;
    }
    match words[0] {
        "early" => {
            let mut out = respond.send_response(ok(5), false).unwrap();
            return out.send_data("early".into(), true).unwrap();
        }
        "reset" => return respond.send_reset(number.into()),
        "hang" => {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            shared.requests.lock()[index].reset = reason.ok();
            return;
        }
        _ => {}
    }
    while next(&mut body, index, shared).await.is_some() {}
    finish(&mut body, index, shared).await;
    if words[0] == "grpc" {
        let is_authorized = shared.authorizes(&parts.headers);
        return grpc(respond, words.get(1).copied().unwrap_or_default(), is_authorized);
    }
    if !shared.authorizes(&parts.headers) {
        if let Some((status, text)) = *shared.rejection.lock() {
            let rejection = Response::builder().status(status).header("content-type", "text/plain");
            let mut out = respond.send_response(rejection.body(()).unwrap(), false).unwrap();
            return out.send_data(text.into(), true).unwrap();
        }
        let unauthorized =
            Response::builder().status(401).header("www-authenticate", "Bearer").body(()).unwrap();
        return respond.send_response(unauthorized, true).map(drop).unwrap();
    }
    match words[0] {
        "hints" => {
            for _ in 0..number.max(1) {
                let hints = Response::builder().status(103).header("link", "<a>").body(()).unwrap();
                if respond.send_informational(hints).is_err() {
                    return;
                }
            }
            let Ok(mut out) = respond.send_response(ok(4), false) else { return };
            let _ = out.send_data("late".into(), true);
        }
        "large" => {
            let answer = Response::builder().header("x-large", "x".repeat(number as usize)).body(()).unwrap();
            let _ = respond.send_response(answer, true);
        }
        "status" => {
            let status = u16::try_from(number).unwrap();
            let answer = Response::builder().status(status).header("etag", "\"e\"").body(()).unwrap();
            respond.send_response(answer, true).unwrap();
        }
        "trailers-only" => {
            let answer =
                Response::builder().header("content-type", "application/grpc").header("grpc-status", "5");
            respond.send_response(answer.body(()).unwrap(), true).unwrap();
        }
        "sized-trailers" => {
            let answer =
                Response::builder().header("content-length", 2).header("trailer", "x-sum").body(()).unwrap();
            let mut out = respond.send_response(answer, false).unwrap();
            out.send_data("ok".into(), false).unwrap();
            out.send_trailers([("x-sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect())
                .unwrap();
        }
        "half" => {
            let mut out = respond.send_response(ok(10), false).unwrap();
            out.send_data("half".into(), false).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            out.send_reset(number.into());
        }
        _ if parts.method == Method::HEAD => {
            respond.send_response(ok(2), true).unwrap();
        }
        _ => {
            let mut out = respond.send_response(ok(2), false).unwrap();
            let _ = out.send_data("ok".into(), true);
        }
    }
}

/// Responds to a gRPC call.
fn grpc(mut respond: SendResponse<Bytes>, place: &str, is_authorized: bool) {
    let head = || Response::builder().header("content-type", "application/grpc");
    let status = |code: &str| HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())]);
    if !is_authorized && place == "head" {
        let head = head().header("grpc-status", "16").header("grpc-message", "no");
        return respond.send_response(head.body(()).unwrap(), true).map(drop).unwrap();
    }
    let mut out = respond.send_response(head().body(()).unwrap(), false).unwrap();
    if is_authorized || place == "late" {
        out.send_data("message".into(), false).unwrap();
    }
    out.send_trailers(status(if is_authorized { "0" } else { "16" })).unwrap();
}

async fn next(body: &mut RecvStream, index: usize, shared: &Shared) -> Option<Bytes> {
    match body.data().await? {
        Ok(part) => {
            let _ = body.flow_control().release_capacity(part.len());
            shared.requests.lock()[index].body.extend_from_slice(&part);
            Some(part)
        }
        Err(error) => {
            shared.requests.lock()[index].reset = error.reason();
            None
        }
    }
}

async fn finish(body: &mut RecvStream, index: usize, shared: &Shared) -> HeaderMap {
    let ended = body.trailers().await;
    let mut requests = shared.requests.lock();
    requests[index].complete = ended.is_ok();
    let trailers = ended.ok().flatten().unwrap_or_default();
    requests[index].trailers.clone_from(&trailers);
    trailers
}
