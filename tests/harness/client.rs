//! An HTTP/1.1 client that sends exactly what a test specifies: bytes with [`Connection`], simple requests
//! with [`Request`].

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::TIMEOUT;
use super::http1::{Fields, Head, Reader, chunked, field};
use super::http2::{Http2, Http2Response};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection to a server.
pub struct Connection {
    stream: Box<dyn Stream>,
    reader: Reader,
}

/// A response as it was received.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub start_line: String,
    pub headers: Fields,
    pub raw_head: Vec<u8>,
    /// 1xx responses that came before it: start line and fields.
    pub informational: Vec<(String, Fields)>,
    pub body: Vec<u8>,
    pub trailers: Fields,
    /// Whether the body was received completely.
    pub complete: bool,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The value of the only field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers.all(name);
        assert!(all.len() < 2, "{name} came more than once: {all:?}");
        all.first().copied()
    }

    /// The value of `Sidekey-Error`: the reason, if Sidekey itself made this response.
    pub fn sidekey_error(&self) -> Option<&str> {
        self.header("sidekey-error")
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address).await.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub async fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Box::new(stream), reader: Reader::default() })
    }

    pub async fn open_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).await.unwrap();
        Self { stream: Box::new(stream), reader: Reader::default() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let sending = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        timeout(TIMEOUT, sending).await.expect("the server reads in time")
    }

    /// Closes the sending half.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Reads the response to the pending request, which is not a HEAD.
    pub async fn response(&mut self) -> Response {
        self.response_to("GET").await.expect("a response")
    }

    /// Reads the response to a request with this method; an error if there is none.
    pub async fn response_to(&mut self, method: &str) -> io::Result<Response> {
        timeout(TIMEOUT, self.read_response(method)).await.expect("a response in time")
    }

    /// Reads the head only, 1xx or final; the body stays unread.
    pub async fn head(&mut self) -> (u16, Fields) {
        let head = timeout(TIMEOUT, self.reader.head(&mut self.stream)).await.expect("a head in time");
        let head = head.unwrap().expect("a head");
        (status(&head), head.fields)
    }

    /// Reads exactly `length` bytes.
    pub async fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = self.reader.take_rest();
        while bytes.len() < length {
            let read = timeout(TIMEOUT, self.stream.read_buf(&mut bytes)).await.expect("bytes in time");
            assert_ne!(read.unwrap(), 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
        }
        let rest = bytes.split_off(length);
        assert!(rest.is_empty(), "more than {length} bytes: {:?}", String::from_utf8_lossy(&rest));
        bytes
    }

    /// Reads until the server closes; an error (such as a reset) counts as the end.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = self.reader.take_rest();
        let reading = async { while let Ok(1..) = self.stream.read_buf(&mut bytes).await {} };
        timeout(TIMEOUT, reading).await.expect("the server closes");
        bytes
    }

    async fn read_response(&mut self, method: &str) -> io::Result<Response> {
        let mut informational = Vec::new();
        loop {
            let Some(head) = self.reader.head(&mut self.stream).await? else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed without a response"));
            };
            let status = status(&head);
            if (100..=199).contains(&status) && status != 101 {
                informational.push((head.start_line, head.fields));
                continue;
            }
            let framing = head.response_framing(method, status);
            let mut body = Vec::new();
            let read = self.reader.body(&mut self.stream, framing, |part| body.extend_from_slice(part)).await;
            return Ok(Response {
                status,
                start_line: head.start_line,
                headers: head.fields,
                raw_head: head.raw,
                informational,
                body,
                complete: read.is_ok(),
                trailers: read.unwrap_or_default(),
            });
        }
    }
}

fn status(head: &Head) -> u16 {
    let word = head.start_line.split(' ').nth(1);
    word.and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("not a status line: {}", head.start_line))
}

impl From<Http2Response> for Response {
    /// The raw head and interim responses are empty.
    fn from(answer: Http2Response) -> Self {
        let fields = |map: &http::HeaderMap| {
            let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            Fields(map.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
        };
        Self {
            status: answer.status,
            start_line: format!("HTTP/2 {}", answer.status),
            headers: fields(&answer.headers),
            raw_head: Vec::new(),
            informational: Vec::new(),
            trailers: fields(&answer.trailers),
            complete: answer.reset.is_none(),
            body: answer.body,
        }
    }
}

/// The version of HTTP that a caller uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];
}

/// One request on its own connection. The target is sent as written in the URL.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    authority: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    chunk_size: Option<usize>,
    trailers: Vec<(String, String)>,
    http2: bool,
}

impl Request {
    pub fn new(method: &str, url: impl AsRef<str>) -> Self {
        let rest = url.as_ref().strip_prefix("http://").expect("an http URL");
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        Self {
            method: method.into(),
            authority: authority.into(),
            target: if target.is_empty() { "/".into() } else { target.into() },
            headers: Vec::new(),
            body: None,
            chunk_size: None,
            trailers: Vec::new(),
            http2: false,
        }
    }

    pub fn get(url: impl AsRef<str>) -> Self {
        Self::new("GET", url)
    }

    pub fn post(url: impl AsRef<str>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", url).body(body)
    }

    /// Adds a header field; `Host` replaces the one from the URL.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends the body in chunks of this size instead of with a length.
    pub fn chunked(mut self, size: usize) -> Self {
        self.chunk_size = Some(size);
        self
    }

    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    /// Uses HTTP/2 with prior knowledge: the first `Host` becomes the authority, a chunked body has no
    /// length.
    pub fn over_http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Uses this version of HTTP.
    pub fn by(self, version: Version) -> Self {
        Self { http2: version == Version::Http2, ..self }
    }

    /// Sends the request and reads the response; if there is none, the test fails.
    pub async fn send(self) -> Response {
        let what = format!("{} http://{}{}", self.method, self.authority, self.target);
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    pub async fn try_send(self) -> io::Result<Response> {
        if self.http2 {
            return Ok(self.send_by_http2().await);
        }
        let mut connection = Connection::try_open(self.authority.parse().expect("address:port")).await?;
        // The server may answer and close before it has read everything.
        let sent = connection.try_send(self.bytes()).await;
        connection.response_to(&self.method).await.map_err(|error| sent.err().unwrap_or(error))
    }

    async fn send_by_http2(self) -> Response {
        let (hosts, fields): (Vec<_>, Vec<_>) =
            self.headers.iter().partition(|(name, _)| name.eq_ignore_ascii_case("host"));
        let authority = hosts.first().map_or(&self.authority, |(_, host)| host);
        let mut request = http::Request::builder().method(self.method.as_bytes());
        for (name, value) in hosts.iter().skip(1).chain(&fields) {
            request = request.header(name.as_bytes(), value.as_bytes());
        }
        if let (Some(body), None) = (&self.body, self.chunk_size) {
            request = request.header("content-length", body.len());
        }
        let request = request.uri(format!("http://{authority}{}", self.target)).body(()).unwrap();
        let mut connection = Http2::open(self.authority.parse().expect("address:port")).await;
        let Some(body) = self.body else {
            return connection.call(request).await.into();
        };
        let mut stream = connection.begin(request).await;
        stream.send(body, self.trailers.is_empty()).await;
        if !self.trailers.is_empty() {
            let field = |(name, value): &(String, String)| {
                (http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
            };
            stream.up.send_trailers(self.trailers.iter().map(field).collect()).unwrap();
        }
        stream.response().await.into()
    }

    /// The request as sent on the wire over HTTP/1.1.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            field(&mut head, "Host", &self.authority);
        }
        for (name, value) in &self.headers {
            field(&mut head, name, value);
        }
        let body = match (&self.body, self.chunk_size) {
            (Some(body), Some(size)) => {
                field(&mut head, "Transfer-Encoding", "chunked");
                chunked(body, size, &self.trailers)
            }
            (Some(body), None) => {
                field(&mut head, "Content-Length", body.len());
                body.clone()
            }
            (None, _) => Vec::new(),
        };
        [head.as_bytes(), b"\r\n", &body].concat()
    }
}
