//! A recording HTTP/1.1 server that answers by script, plain or TLS.
//!
//! Answers come from the queue filled by [`Upstream::next`], then from [`Upstream::always`] or
//! [`Upstream::answer_with`]; without any of them it is `200 ok`. A request is on record as soon as its head is
//! there, its body grows as it comes.

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

use super::answer::{Answer, End, Step};
use super::http1::{Fields, Framing, Reader};
use super::pki::Pki;
use super::request::Request;
use super::socket::Socket;

/// The server. Stops, with all its connections, when dropped.
pub struct Upstream {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    task: AbortHandle,
}

type Respond = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

struct Shared {
    requests: Mutex<Vec<Request>>,
    queue: Mutex<VecDeque<Answer>>,
    otherwise: Mutex<Otherwise>,
    tls: Mutex<Option<Arc<ServerConfig>>>,
    accepting: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    handshakes: Mutex<Vec<Result<HandshakeKind, String>>>,
    cut: watch::Sender<()>,
}

enum Otherwise {
    Always(Box<Answer>),
    With(Respond),
}

impl Upstream {
    /// Plain HTTP on loopback.
    pub async fn plain() -> Self {
        Self::start(None).await
    }

    /// HTTPS for `localhost` and `127.0.0.1`.
    pub async fn tls(pki: &Pki) -> Self {
        Self::start(Some(pki.server(&["localhost", "127.0.0.1"]))).await
    }

    /// HTTPS with a server of the test's own, such as one whose certificate is for another name.
    pub async fn tls_with(server: Arc<ServerConfig>) -> Self {
        Self::start(Some(server)).await
    }

    async fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            queue: Mutex::default(),
            otherwise: Mutex::new(Otherwise::Always(Box::new(Answer::ok("ok")))),
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

    /// Queues an answer for one request.
    pub fn next(&self, answer: Answer) {
        self.shared.queue.lock().push_back(answer);
    }

    /// The answer to every request that finds the queue empty.
    pub fn always(&self, answer: Answer) {
        *self.shared.otherwise.lock() = Otherwise::Always(Box::new(answer));
    }

    /// Computes the answer to every request that finds the queue empty, once its body is there.
    pub fn answer_with(&self, respond: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        *self.shared.otherwise.lock() = Otherwise::With(Arc::new(respond));
    }

    /// Everything received so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().clone()
    }

    pub fn request_count(&self) -> usize {
        self.shared.requests.lock().len()
    }

    /// The one request there was.
    pub fn only_request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request was expected: {requests:#?}");
        requests.into_iter().next().unwrap()
    }

    /// The latest request.
    pub fn last_request(&self) -> Request {
        self.requests().pop().expect("a request")
    }

    /// Waits until this many requests have come, complete or not.
    pub async fn received(&self, count: usize) -> Vec<Request> {
        let what = format!("{count} requests at the upstream");
        super::assert_eventually(Duration::from_secs(20), &what, async || self.request_count() >= count)
            .await;
        self.requests()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// TLS handshakes so far: full, resumed, or why they failed.
    pub fn handshakes(&self) -> Vec<Result<HandshakeKind, String>> {
        self.shared.handshakes.lock().clone()
    }

    /// From the next connection on, another certificate.
    pub fn change_certificate(&self, server: Arc<ServerConfig>) {
        *self.shared.tls.lock() = Some(server);
    }

    /// Closes all connections.
    pub fn cut_connections(&self) {
        self.shared.cut.send_replace(());
    }

    /// `false`: every connection is reset as soon as it is made, and those that exist are closed.
    pub fn set_accepting(&self, accepting: bool) {
        self.shared.accepting.store(accepting, Ordering::SeqCst);
        if !accepting {
            self.cut_connections();
        }
    }
}

impl Drop for Upstream {
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
        let request = Request::new(number, server_name.clone(), head);
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
    /// Reads one request's body and answers, in the order that the script says.
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

    async fn play(&mut self, answer: &Answer, index: usize) -> io::Result<()> {
        let method = self.shared.requests.lock()[index].method.clone();
        for step in answer.steps(&method) {
            match step {
                Step::Send(bytes) => {
                    self.socket.write_all(&bytes).await?;
                    self.socket.flush().await?;
                }
                Step::Pause(pause) => tokio::time::sleep(pause).await,
                Step::Hold(gate) => tokio::select! {
                    () = gate.passed() => (),
                    end = self.wait_for_end(index), if !answer.early => return end.and(Err(io::ErrorKind::ConnectionAborted.into())),
                },
            }
        }
        Ok(())
    }

    /// Until the client goes away; what it still sends is put aside.
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

    fn record(&self, request: Request) -> usize {
        let mut requests = self.requests.lock();
        requests.push(request);
        requests.len() - 1
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut Request)) -> Request {
        let mut requests = self.requests.lock();
        change(&mut requests[index]);
        requests[index].clone()
    }

    /// The answer for the request at hand, if it is to be given before its body is read.
    fn early_answer(&self) -> Option<Answer> {
        let mut queue = self.queue.lock();
        match queue.front() {
            Some(answer) if answer.early => queue.pop_front(),
            Some(_) => None,
            None => match &*self.otherwise.lock() {
                Otherwise::Always(answer) if answer.early => Some(Answer::clone(answer)),
                _ => None,
            },
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        if let Some(answer) = self.queue.lock().pop_front() {
            return answer;
        }
        let respond = match &*self.otherwise.lock() {
            Otherwise::Always(answer) => return Answer::clone(answer),
            Otherwise::With(respond) => respond.clone(),
        };
        respond(request)
    }
}
