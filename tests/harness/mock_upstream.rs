//! A recording HTTP/1.1 server with scripted responses, plain or TLS.
//!
//! Responses come from the queue filled by [`MockUpstream::next`], then from [`MockUpstream::always`] or
//! [`MockUpstream::respond_with`]; otherwise the response is `200 ok`. A request is recorded as soon as its
//! head was received; its body grows as it is received.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::http1::{Fields, Framing, Reader};
use super::mock_response::{End, MockResponse, Step};
use super::pki::Pki;
use super::recorded_request::RecordedRequest;
use super::socket::Socket;

/// The server. It stops, with all its connections, when dropped.
pub struct MockUpstream {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    task: AbortHandle,
}

type Respond = Arc<dyn Fn(&RecordedRequest) -> MockResponse + Send + Sync>;

struct Shared {
    requests: Mutex<Vec<RecordedRequest>>,
    queue: Mutex<VecDeque<MockResponse>>,
    otherwise: Mutex<Otherwise>,
    tls: Mutex<Option<Arc<ServerConfig>>>,
    accepting: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    handshakes: Mutex<Vec<Result<HandshakeKind, String>>>,
    cut: watch::Sender<()>,
}

enum Otherwise {
    Always(Box<MockResponse>),
    With(Respond),
}

impl MockUpstream {
    /// A plain HTTP server on loopback.
    pub async fn plain() -> Self {
        Self::start(None).await
    }

    /// An HTTPS server for `localhost` and `127.0.0.1`.
    pub async fn tls(pki: &Pki) -> Self {
        Self::start(Some(pki.server(&["localhost", "127.0.0.1"]))).await
    }

    /// An HTTPS server with this configuration, such as one whose certificate is for another name.
    pub async fn tls_with(server: Arc<ServerConfig>) -> Self {
        Self::start(Some(server)).await
    }

    async fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            queue: Mutex::default(),
            otherwise: Mutex::new(Otherwise::Always(Box::new(MockResponse::ok("ok")))),
            accepting: AtomicBool::new(true),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            handshakes: Mutex::default(),
            cut: watch::Sender::new(()),
            tls: Mutex::new(tls.clone()),
        });
        let task = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Self { address, tls: tls.is_some(), shared, task }
    }

    /// `https://localhost:PORT` or `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        let port = self.address.port();
        if self.tls { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Queues a response for one request.
    pub fn next(&self, answer: MockResponse) {
        self.shared.queue.lock().push_back(answer);
    }

    /// Sets the response for requests that find the queue empty.
    pub fn always(&self, answer: MockResponse) {
        *self.shared.otherwise.lock() = Otherwise::Always(Box::new(answer));
    }

    /// Computes the response for requests that find the queue empty, after the body was received.
    pub fn respond_with(&self, respond: impl Fn(&RecordedRequest) -> MockResponse + Send + Sync + 'static) {
        *self.shared.otherwise.lock() = Otherwise::With(Arc::new(respond));
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.requests.lock().clone()
    }

    pub fn request_count(&self) -> usize {
        self.shared.requests.lock().len()
    }

    /// The only request; the test fails if there were more or none.
    pub fn only_request(&self) -> RecordedRequest {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request was expected: {requests:#?}");
        requests.into_iter().next().unwrap()
    }

    /// The latest request.
    pub fn last_request(&self) -> RecordedRequest {
        self.requests().pop().expect("a request")
    }

    /// Waits until `count` requests have been received, complete or not.
    pub async fn received(&self, count: usize) -> Vec<RecordedRequest> {
        let what = format!("{count} requests at the upstream");
        super::assert_eventually(Duration::from_secs(20), &what, async || self.request_count() >= count)
            .await;
        self.requests()
    }

    /// Number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Number of connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// TLS handshakes so far: full, resumed, or the error.
    pub fn handshakes(&self) -> Vec<Result<HandshakeKind, String>> {
        self.shared.handshakes.lock().clone()
    }

    /// Changes the certificate from the next connection on.
    pub fn change_certificate(&self, server: Arc<ServerConfig>) {
        *self.shared.tls.lock() = Some(server);
    }

    /// Closes all connections.
    pub fn cut_connections(&self) {
        self.shared.cut.send_replace(());
    }

    /// `false`: resets every new connection, and closes the existing ones.
    pub fn set_accepting(&self, accepting: bool) {
        self.shared.accepting.store(accepting, Ordering::SeqCst);
        if !accepting {
            self.cut_connections();
        }
    }
}

impl Drop for MockUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        if !shared.accepting.load(Ordering::SeqCst) {
            let _ = tcp.set_zero_linger();
            continue;
        }
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let shared = shared.clone();
        connections.spawn(async move {
            let mut cut = shared.cut.subscribe();
            shared.open.fetch_add(1, Ordering::SeqCst);
            tokio::select! {
                _ = converse(tcp, number, &shared) => (),
                _ = cut.changed() => (),
            }
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn converse(tcp: TcpStream, number: usize, shared: &Shared) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut connection = Connection { socket: shared.secure(tcp).await?, reader: Reader::default(), shared };
    let server_name = connection.socket.server_name();
    while let Some(head) = connection.reader.head(&mut connection.socket).await? {
        let (framing, keep) = (head.request_framing(), head.keeps_alive());
        let continues = head.fields.first("expect").is_some();
        let request = RecordedRequest::new(number, server_name.clone(), head);
        let index = shared.record(request);
        let end = connection.exchange(index, framing, continues).await?;
        match end {
            End::KeepAlive if keep => (),
            End::KeepAlive | End::Close => {
                let _ = connection.socket.shutdown().await;
                return Ok(());
            }
            End::Reset => {
                connection.socket.reset();
                return Ok(());
            }
            End::Hang => return connection.wait_for_end(index).await,
            End::Echo => return connection.echo().await,
        }
    }
    Ok(())
}

struct Connection<'a> {
    socket: Socket,
    reader: Reader,
    shared: &'a Shared,
}

impl Connection<'_> {
    /// Reads one request's body and responds, in the order of the script.
    async fn exchange(&mut self, index: usize, framing: Framing, continues: bool) -> io::Result<End> {
        let early = self.shared.early_answer();
        if let Some(answer) = &early {
            self.play(answer, index).await?;
            if answer.end != End::KeepAlive {
                return Ok(answer.end);
            }
        } else if continues {
            self.socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let shared = self.shared;
        let add = |part: &[u8]| shared.requests.lock()[index].body.extend_from_slice(part);
        let trailers = self.reader.body(&mut self.socket, framing, add).await?;
        let request = shared.update(index, |request| {
            request.trailers = trailers;
            request.complete = true;
        });
        if early.is_some() {
            return Ok(End::KeepAlive);
        }
        let answer = shared.answer(&request);
        self.play(&answer, index).await?;
        Ok(answer.end)
    }

    async fn play(&mut self, answer: &MockResponse, index: usize) -> io::Result<()> {
        let method = self.shared.requests.lock()[index].method.clone();
        for step in answer.steps(&method) {
            match step {
                Step::Send(bytes) => {
                    self.socket.write_all(&bytes).await?;
                    self.socket.flush().await?;
                }
                Step::Pause(pause) => tokio::time::sleep(pause).await,
                Step::Hold(gate) => tokio::select! {
                    () = gate.opened() => (),
                    end = self.wait_for_end(index), if !answer.early => return end.and(Err(io::ErrorKind::ConnectionAborted.into())),
                },
            }
        }
        Ok(())
    }

    /// Waits until the client disconnects; what it still sends is discarded.
    async fn wait_for_end(&mut self, index: usize) -> io::Result<()> {
        let mut aside = [0; 4096];
        while self.socket.read(&mut aside).await.is_ok_and(|length| length > 0) {}
        self.shared.update(index, |request| request.abandoned = true);
        Ok(())
    }

    async fn echo(&mut self) -> io::Result<()> {
        self.socket.write_all(&self.reader.take_rest()).await?;
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.read(&mut buffer).await?;
            if length == 0 {
                return self.socket.shutdown().await;
            }
            self.socket.write_all(&buffer[..length]).await?;
            self.socket.flush().await?;
        }
    }
}

impl Shared {
    async fn secure(&self, tcp: TcpStream) -> io::Result<Socket> {
        let Some(config) = self.tls.lock().clone() else { return Ok(Socket::Plain(tcp)) };
        let accepted = TlsAcceptor::from(config).accept(tcp).await;
        let outcome = match &accepted {
            Ok(stream) => Ok(stream.get_ref().1.handshake_kind().unwrap_or(HandshakeKind::Full)),
            Err(error) => Err(error.to_string()),
        };
        self.handshakes.lock().push(outcome);
        Ok(Socket::Tls(Box::new(accepted?)))
    }

    fn record(&self, request: RecordedRequest) -> usize {
        let mut requests = self.requests.lock();
        requests.push(request);
        requests.len() - 1
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut RecordedRequest)) -> RecordedRequest {
        let mut requests = self.requests.lock();
        change(&mut requests[index]);
        requests[index].clone()
    }

    /// The response for the current request, if it is to be sent before the body is read.
    fn early_answer(&self) -> Option<MockResponse> {
        let mut queue = self.queue.lock();
        match queue.front() {
            Some(answer) if answer.early => queue.pop_front(),
            Some(_) => None,
            None => match &*self.otherwise.lock() {
                Otherwise::Always(answer) if answer.early => Some(MockResponse::clone(answer)),
                _ => None,
            },
        }
    }

    fn answer(&self, request: &RecordedRequest) -> MockResponse {
        if let Some(answer) = self.queue.lock().pop_front() {
            return answer;
        }
        let respond = match &*self.otherwise.lock() {
            Otherwise::Always(answer) => return MockResponse::clone(answer),
            Otherwise::With(respond) => respond.clone(),
        };
        respond(request)
    }
}
