//! An HTTP/2 client with prior knowledge: whole requests, streams part by part, and raw frames.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::TIMEOUT;

/// A connection whose frames the `h2` crate creates.
pub struct Http2 {
    send: SendRequest<Bytes>,
    /// The task of the connection.
    pub driver: JoinHandle<Result<(), h2::Error>>,
}

/// A pending request.
pub struct Http2Stream {
    pub up: SendStream<Bytes>,
    answer: ResponseFuture,
}

/// A response as it was received.
#[derive(Debug)]
pub struct Http2Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
    /// The error code if the stream was reset.
    pub reset: Option<Reason>,
}

impl Http2Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().unwrap());
        assert!(all.next().is_none(), "{name} came more than once");
        first
    }
}

impl Http2 {
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &Builder::new()).await
    }

    pub async fn open_with(address: SocketAddr, builder: &Builder) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Self::over(tcp, builder).await
    }

    /// An HTTP/2 connection over an existing one, such as one with TLS.
    pub async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, builder: &Builder) -> Self {
        let (send, connection) = builder.handshake(io).await.unwrap();
        Self { send, driver: tokio::spawn(connection) }
    }

    /// Whether the server has announced support of `CONNECT` with `:protocol` (RFC 8441).
    pub fn takes_extended_connect(&self) -> bool {
        self.send.is_extended_connect_protocol_enabled()
    }

    /// Sends the head of a request whose body follows.
    pub async fn begin(&mut self, request: Request<()>) -> Http2Stream {
        self.start(request, false).await
    }

    async fn start(&mut self, request: Request<()>, whole: bool) -> Http2Stream {
        let mut send = timeout(TIMEOUT, self.send.clone().ready()).await.expect("in time").unwrap();
        let (answer, up) = send.send_request(request, whole).unwrap();
        Http2Stream { up, answer }
    }

    /// Sends a request without a body and reads the whole response.
    pub async fn call(&mut self, request: Request<()>) -> Http2Response {
        self.start(request, true).await.response().await
    }

    pub async fn get(&mut self, path: &str) -> Http2Response {
        self.call(get(path)).await
    }
}

/// `GET` of a path at the authority `localhost`.
pub fn get(path: &str) -> Request<()> {
    Request::get(format!("http://localhost{path}")).body(()).unwrap()
}

/// `POST` to a path at the authority `localhost`.
pub fn post(path: &str) -> Request<()> {
    Request::post(format!("http://localhost{path}")).body(()).unwrap()
}

impl Http2Stream {
    /// Sends a part of the body when flow control allows it.
    pub async fn send(&mut self, part: impl Into<Bytes>, last: bool) {
        let mut part = part.into();
        while !part.is_empty() {
            self.up.reserve_capacity(part.len());
            let room = timeout(TIMEOUT, poll_fn(|cx| self.up.poll_capacity(cx))).await.expect("room in time");
            let room = room.expect("an open stream").unwrap().min(part.len());
            self.up.send_data(part.split_to(room), false).unwrap();
        }
        if last {
            self.up.send_data(Bytes::new(), true).unwrap();
        }
    }

    /// Reads the next interim response.
    pub async fn interim(&mut self) -> Response<()> {
        self.next_interim().await.expect("an interim one")
    }

    /// Reads the next interim response; `None` if the final one comes first.
    pub async fn next_interim(&mut self) -> Option<Response<()>> {
        let next = poll_fn(|cx| self.answer.poll_informational(cx));
        timeout(TIMEOUT, next).await.expect("an answer in time").map(Result::unwrap)
    }

    /// Reads the head only; an error if the stream was reset.
    pub async fn head(&mut self) -> Result<Response<RecvStream>, h2::Error> {
        timeout(TIMEOUT, &mut self.answer).await.expect("an answer in time")
    }

    pub async fn response(mut self) -> Http2Response {
        match self.head().await {
            Ok(response) => rest(response).await,
            Err(error) => Http2Response {
                status: 0,
                headers: HeaderMap::new(),
                body: Vec::new(),
                trailers: HeaderMap::new(),
                reset: Some(error.reason().unwrap_or_else(|| panic!("a reset, not {error}"))),
            },
        }
    }
}

/// Reads the next part of a body; `None` at its end.
pub async fn part(body: &mut RecvStream) -> Option<Bytes> {
    let part = timeout(TIMEOUT, body.data()).await.expect("more of the body in time")?.unwrap();
    body.flow_control().release_capacity(part.len()).unwrap();
    Some(part)
}

/// Reads the rest of a response after its head.
pub async fn rest(response: Response<RecvStream>) -> Http2Response {
    let (parts, mut body) = response.into_parts();
    let mut whole = Vec::new();
    let mut reset = None;
    while let Some(part) = timeout(TIMEOUT, body.data()).await.expect("more of the body in time") {
        match part {
            Ok(part) => {
                body.flow_control().release_capacity(part.len()).unwrap();
                whole.extend_from_slice(&part);
            }
            Err(error) => {
                reset = Some(error.reason().expect("a reason"));
                break;
            }
        }
    }
    let trailers = if reset.is_none() { body.trailers().await.unwrap() } else { None };
    Http2Response {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: whole,
        trailers: trailers.unwrap_or_default(),
        reset,
    }
}

/// A connection whose frames the test creates, well-formed or not.
pub struct Frames {
    stream: TcpStream,
}

/// Flags of frames. Their meaning depends on the kind.
pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// One frame as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RESET: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;

    /// The error code of a RST_STREAM or GOAWAY frame.
    pub fn reason(&self) -> Reason {
        let code = &self.payload[self.payload.len().min(if self.kind == Self::GOAWAY { 4 } else { 0 })..];
        u32::from_be_bytes(code[..4].try_into().unwrap()).into()
    }
}

impl Frames {
    /// Connects and sends nothing.
    pub async fn bare(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Connects and sends preface and settings.
    pub async fn open(address: SocketAddr) -> Self {
        let mut frames = Self::bare(address).await;
        frames.send_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        frames.send(Frame::SETTINGS, 0, 0, b"").await.unwrap();
        frames
    }

    /// The server side of a connection that the test accepted; reads the preface.
    pub async fn accepted(mut stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let mut preface = [0; 24];
        timeout(TIMEOUT, stream.read_exact(&mut preface)).await.expect("a preface in time").unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Self { stream };
        frames.send(Frame::SETTINGS, 0, 0, b"").await.unwrap();
        frames
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let bytes = frame(kind, flags, stream, payload);
        timeout(TIMEOUT, self.stream.write_all(&bytes)).await.expect("the peer reads in time")
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(TIMEOUT, self.stream.write_all(bytes)).await.expect("the peer reads in time")
    }

    /// Reads the next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        let reading = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        };
        timeout(TIMEOUT, reading).await.expect("a frame or the end in time")
    }

    /// Reads up to the next frame of this kind; `None` at the end of the connection.
    pub async fn until(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// An HPACK block of these fields without compression: literal, never indexed.
pub fn fields(all: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let string = |block: &mut Vec<u8>, text: &str| {
        // A length in HPACK's integer with a prefix of seven bits (RFC 7541 §5.1).
        let mut left = text.len();
        if left < 127 {
            block.push(u8::try_from(left).unwrap());
        } else {
            block.push(127);
            left -= 127;
            while left >= 128 {
                block.push(u8::try_from(left % 128).unwrap() | 128);
                left /= 128;
            }
            block.push(u8::try_from(left).unwrap());
        }
        block.extend_from_slice(text.as_bytes());
    };
    for (name, value) in all {
        block.push(0x10);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}
