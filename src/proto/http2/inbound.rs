//! The body that an HTTP/2 stream brings, as the bytes of an HTTP/1.1 body.

use std::io::{self, Write as _};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use tokio::io::ReadBuf;

use super::coding::malformed;
use super::heads;

/// The receiving side of a stream, behind a head that has been read.
pub struct InboundBody {
    stream: RecvStream,
    /// Content that has arrived and is not read yet.
    data: Bytes,
    /// Chunked coding that comes before `data`: a size line, a line ending, or the last chunk and the trailer
    /// section.
    coding: Vec<u8>,
    /// The number of bytes of `coding` that were read.
    coding_read: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The number of bytes that are left.
    Length(u64),
    /// Chunked coding. `open`: the line ending after the last chunk is not written yet.
    Chunks {
        open: bool,
    },
    Trailers,
    Done,
}

impl InboundBody {
    /// `length` is the length that the head gives. Without it the content is read in chunked coding, unless
    /// the stream has ended.
    pub fn new(stream: RecvStream, length: Option<u64>) -> Self {
        let state = match length {
            Some(0) => State::Done,
            Some(length) => State::Length(length),
            None if stream.is_end_stream() => State::Done,
            None => State::Chunks { open: false },
        };
        Self { stream, data: Bytes::new(), coding: Vec::new(), coding_read: 0, state }
    }

    /// Whether the whole body was read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done && self.data.is_empty() && self.coding_read == self.coding.len()
    }

    /// Reads what has arrived. Reads nothing if the stream ended before its length was reached. Must not be
    /// called after the end of the body.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            self.copy(buf)?;
            if buf.remaining() == 0 || self.is_done() {
                return Poll::Ready(Ok(()));
            }
            match self.poll_more(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                // Bytes read before an error are passed on first; the next read reports the error again.
                Poll::Pending | Poll::Ready(Err(_)) if buf.filled().len() > before => {
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Copies what has arrived, and opens the peer's window by the same number of bytes.
    fn copy(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let coding = &self.coding[self.coding_read..];
        let count = coding.len().min(buf.remaining());
        buf.put_slice(&coding[..count]);
        self.coding_read += count;
        if self.coding_read < self.coding.len() {
            return Ok(());
        }
        let count = self.data.len().min(buf.remaining());
        if count > 0 {
            buf.put_slice(&self.data.split_to(count));
            self.stream.flow_control().release_capacity(count).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Waits for more content or the end of the stream; `false` if the stream ended before the body.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let State::Chunks { open: true } = self.state {
            self.set_coding(b"\r\n");
            self.state = State::Chunks { open: false };
            return Poll::Ready(Ok(true));
        }
        if self.state == State::Trailers {
            let trailers = ready!(self.stream.poll_trailers(cx)).map_err(io::Error::other)?;
            self.set_coding(b"0\r\n");
            heads::write_trailers(&mut self.coding, &trailers.unwrap_or_default());
            self.state = State::Done;
            return Poll::Ready(Ok(true));
        }
        let data = ready!(self.stream.poll_data(cx)).transpose().map_err(io::Error::other)?;
        self.state = match (self.state, &data) {
            (State::Length(left), Some(content)) => match left.checked_sub(content.len() as u64) {
                Some(0) => State::Done,
                Some(left) => State::Length(left),
                None => return Poll::Ready(Err(malformed("more content than its length"))),
            },
            (State::Length(_), None) => return Poll::Ready(Ok(false)),
            (_, Some(data)) if data.is_empty() => self.state,
            (_, Some(data)) => {
                self.set_coding(b"");
                write!(self.coding, "{:x}\r\n", data.len())?;
                State::Chunks { open: true }
            }
            (_, None) => State::Trailers,
        };
        self.data = data.unwrap_or_default();
        Poll::Ready(Ok(true))
    }

    fn set_coding(&mut self, coding: &[u8]) {
        self.coding.clear();
        self.coding_read = 0;
        self.coding.extend_from_slice(coding);
    }
}
