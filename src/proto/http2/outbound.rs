//! The bytes of an HTTP/1.1 body, sent by a stream.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};

use super::heads;
use super::heads::broken;

/// How the bytes of a body are to be read. They were found good before they were written, so this only takes off what
/// `proxy::framing` let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coding {
    /// So many bytes more.
    Length(u64),
    /// Chunked coding (RFC 9112 §7.1).
    Chunked(Chunks),
    /// Bytes as they are, until [`Outbound::finish`].
    Raw,
}

impl Coding {
    /// No body.
    pub const NONE: Self = Self::Length(0);

    /// Whether nothing comes after the head.
    pub fn is_done(&self) -> bool {
        *self == Self::NONE
    }

    /// Before the first chunk.
    pub fn chunked() -> Self {
        Self::Chunked(Chunks { state: State::Line, line: Vec::new() })
    }
}

/// Where in chunked coding a body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    /// What came of a size line or a trailer section.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Line,
    Data(u64),
    /// The end of line after a chunk; so many bytes of it are to come.
    End(u8),
    Trailers,
    Done,
}

/// A stream that a body goes out by.
pub struct Outbound {
    stream: SendStream<Bytes>,
    coding: Coding,
}

impl Outbound {
    /// Behind a head that has been sent.
    pub fn new(stream: SendStream<Bytes>, coding: Coding) -> Self {
        Self { stream, coding }
    }

    /// Sends as much of a body as the peer has room for, and says how many of the bytes that was.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut used = 0;
        while used < bytes.len() {
            match self.step(cx, &bytes[used..]) {
                Poll::Ready(Ok(count)) => used += count,
                Poll::Pending if used > 0 => break,
                other => return other,
            }
        }
        Poll::Ready(Ok(used))
    }

    /// Why the peer wants no more; pending while it does.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        self.stream.poll_reset(cx)
    }

    /// Ends bytes whose coding does not say where they end.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.coding == Coding::Raw {
            self.coding = Coding::NONE;
            self.stream.send_data(Bytes::new(), true).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Ends the stream before its time.
    pub fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    fn step(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let chunks = match &mut self.coding {
            Coding::Length(0) => return Poll::Ready(Err(broken("bytes after its end"))),
            Coding::Length(left) => {
                let offered = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let whole = offered as u64 == *left;
                let count = ready!(send(&mut self.stream, cx, &bytes[..offered], whole))?;
                *left -= count as u64;
                return Poll::Ready(Ok(count));
            }
            Coding::Raw => return send(&mut self.stream, cx, bytes, false),
            Coding::Chunked(chunks) => chunks,
        };
        Poll::Ready(match chunks.state {
            State::Line => {
                let (count, whole) = chunks.take_line(bytes)?;
                if whole {
                    let size = size(&chunks.line)?;
                    chunks.line.clear();
                    chunks.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                Ok(count)
            }
            State::Data(left) => {
                let offered = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                // The last chunk with its end behind it: one frame says both.
                let whole = offered as u64 == left && &bytes[offered..] == b"\r\n0\r\n\r\n";
                let count = ready!(send(&mut self.stream, cx, &bytes[..offered], whole))?;
                if whole && count == offered {
                    chunks.state = State::Done;
                    return Poll::Ready(Ok(bytes.len()));
                }
                let left = left - count as u64;
                chunks.state = if left == 0 { State::End(2) } else { State::Data(left) };
                Ok(count)
            }
            State::End(left) => {
                let count = usize::from(left).min(bytes.len());
                let left = left - u8::try_from(count).unwrap_or(left);
                chunks.state = if left == 0 { State::Line } else { State::End(left) };
                Ok(count)
            }
            State::Trailers => {
                let (count, whole) = chunks.take_line(bytes)?;
                if whole && (chunks.line == b"\r\n" || chunks.line.ends_with(b"\r\n\r\n")) {
                    let trailers = heads::read_trailers(&chunks.line)?;
                    if trailers.is_empty() {
                        self.stream.send_data(Bytes::new(), true).map_err(io::Error::other)?;
                    } else {
                        self.stream.send_trailers(trailers).map_err(io::Error::other)?;
                    }
                    chunks.line = Vec::new();
                    chunks.state = State::Done;
                }
                Ok(count)
            }
            State::Done => Err(broken("bytes after its end")),
        })
    }
}

impl Chunks {
    /// Moves bytes up to and with a line feed; whether there was one.
    fn take_line(&mut self, bytes: &[u8]) -> io::Result<(usize, bool)> {
        let end = memchr::memchr(b'\n', bytes);
        let count = end.map_or(bytes.len(), |end| end + 1);
        self.line.extend_from_slice(&bytes[..count]);
        if self.line.len() > super::HEAD as usize {
            return Err(broken("a line without end"));
        }
        Ok((count, end.is_some()))
    }
}

/// The size in a chunk's first line, extensions aside.
fn size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|byte| matches!(byte, b';' | b'\r' | b' ' | b'\t')).next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    u64::from_str_radix(digits, 16).map_err(|_| broken("a chunk without size"))
}

/// Sends what the peer has room for; `last`: nothing comes after all of it.
fn send(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    bytes: &[u8],
    last: bool,
) -> Poll<io::Result<usize>> {
    let mut room = stream.capacity();
    if room < bytes.len() {
        stream.reserve_capacity(bytes.len());
        room = stream.capacity();
    }
    while room == 0 {
        room = match ready!(stream.poll_capacity(cx)) {
            Some(Ok(room)) => room,
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            None => return Poll::Ready(Err(ended(stream, cx))),
        };
    }
    let count = room.min(bytes.len());
    let data = Bytes::copy_from_slice(&bytes[..count]);
    stream.send_data(data, last && count == bytes.len()).map_err(io::Error::other)?;
    Poll::Ready(Ok(count))
}

/// Why a stream takes nothing more.
fn ended(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> io::Error {
    match stream.poll_reset(cx) {
        Poll::Ready(Ok(reason)) => io::Error::other(h2::Error::from(reason)),
        Poll::Ready(Err(error)) => io::Error::other(error),
        Poll::Pending => io::ErrorKind::BrokenPipe.into(),
    }
}
