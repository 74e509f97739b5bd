//! HTTP/1.1 messages at byte level, for client and server: nothing is normalised, so a test sees the bytes
//! that were sent.

use std::fmt::{Display, Write as _};
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Header or trailer fields in their original order and case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// The value of the first field of that name, in any case.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// The values of all fields of that name, in any case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    /// The names, lower case, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    fn parse(lines: &str) -> Self {
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        };
        Self(lines.split("\r\n").filter(|line| !line.is_empty()).map(field).collect())
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .iter()
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    }
}

/// Start line and fields.
#[derive(Debug, Clone)]
pub struct Head {
    /// Up to and including the empty line, byte for byte.
    pub raw: Vec<u8>,
    pub start_line: String,
    pub fields: Fields,
}

impl Head {
    fn parse(raw: Vec<u8>) -> Self {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let (start_line, lines) = text.split_once("\r\n").unwrap_or((&text, ""));
        Self { start_line: start_line.to_owned(), fields: Fields::parse(lines), raw }
    }

    /// Whether the connection may be reused after this message.
    pub fn keeps_alive(&self) -> bool {
        !self.fields.has_token("connection", "close") && !self.start_line.contains("HTTP/1.0")
    }

    /// The framing of the body of a request with this head.
    pub fn request_framing(&self) -> Framing {
        self.framing().unwrap_or(Framing::Length(0))
    }

    /// The framing of the body of a response with this head.
    pub fn response_framing(&self, method: &str, status: u16) -> Framing {
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Framing::Length(0);
        }
        self.framing().unwrap_or(Framing::UntilClosed)
    }

    fn framing(&self) -> Option<Framing> {
        if self.fields.has_token("transfer-encoding", "chunked") {
            return Some(Framing::Chunked);
        }
        self.fields
            .first("content-length")
            .map(|length| Framing::Length(length.parse().expect("Content-Length")))
    }
}

/// How the end of a body is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// Reads messages one after the other; surplus bytes are kept for the next.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// The next head, or `None` if the peer closed before its first byte.
    pub async fn head(&mut self, io: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                return Ok(Some(Head::parse(self.buffer.drain(..end + 4).collect())));
            }
            if self.fill(io).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(cut("head")) };
            }
        }
    }

    /// Reads a body into `sink` as it arrives, and returns the trailers.
    pub async fn body(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        framing: Framing,
        mut sink: impl FnMut(&[u8]),
    ) -> io::Result<Fields> {
        match framing {
            Framing::Length(length) => self.exactly(io, length, &mut sink).await?,
            Framing::Chunked => return self.chunks(io, &mut sink).await,
            Framing::UntilClosed => loop {
                sink(&std::mem::take(&mut self.buffer));
                if self.fill(io).await? == 0 {
                    break;
                }
            },
        }
        Ok(Fields::default())
    }

    /// Bytes that were read beyond the last message.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    async fn chunks(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        sink: &mut impl FnMut(&[u8]),
    ) -> io::Result<Fields> {
        loop {
            let line = self.line(io).await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).map_err(|_| io::Error::other("bad chunk size"))?;
            if size == 0 {
                break;
            }
            self.exactly(io, size, sink).await?;
            self.line(io).await?;
        }
        let mut lines = String::new();
        loop {
            let line = self.line(io).await?;
            if line.is_empty() {
                return Ok(Fields::parse(&lines));
            }
            lines = lines + &line + "\r\n";
        }
    }

    async fn line(&mut self, io: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill(io).await? == 0 {
                return Err(cut("chunk"));
            }
        }
    }

    async fn exactly(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        mut length: usize,
        sink: &mut impl FnMut(&[u8]),
    ) -> io::Result<()> {
        while length > 0 {
            if self.buffer.is_empty() && self.fill(io).await? == 0 {
                return Err(cut("body"));
            }
            let part: Vec<u8> = self.buffer.drain(..length.min(self.buffer.len())).collect();
            length -= part.len();
            sink(&part);
        }
        Ok(())
    }

    async fn fill(&mut self, io: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.buffer.reserve(64 * 1024);
        io.read_buf(&mut self.buffer).await
    }
}

/// Adds a header field to a head.
pub fn field(head: &mut String, name: &str, value: impl Display) {
    write!(head, "{name}: {value}\r\n").expect("writing to a String does not fail");
}

/// Writes `body` as chunks of at most `size` bytes, with trailers.
pub fn chunked(body: &[u8], size: usize, trailers: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    for chunk in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn cut(place: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("closed inside a {place}"))
}
