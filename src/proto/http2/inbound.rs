//! A body that comes by a stream, as the bytes of an HTTP/1.1 body.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use tokio::io::ReadBuf;

use super::heads;

/// What a stream still has to say.
pub struct Inbound {
    stream: RecvStream,
    /// Content that came and was not read yet.
    data: Bytes,
    /// Coding that stands before the content, or after all of it.
    coding: Vec<u8>,
    /// How far of it was read.
    coding_read: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes are to come.
    Length(u64),
    /// In chunks; `open`: the end of the last one was not written yet.
    Chunks {
        open: bool,
    },
    /// As it comes, until the stream ends.
    Raw,
    Trailers,
    Done,
}

impl Inbound {
    /// `length`: what the head says; without it the content is read in chunked coding, unless the stream has ended.
    pub fn new(stream: RecvStream, length: Option<u64>) -> Self {
        let state = match length {
            Some(0) => State::Done,
            Some(length) => State::Length(length),
            None if stream.is_end_stream() => State::Done,
            None => State::Chunks { open: false },
        };
        Self { stream, data: Bytes::new(), coding: Vec::new(), coding_read: 0, state }
    }

    /// What comes as it is, without coding; its end is the end of the stream.
    pub fn raw(stream: RecvStream) -> Self {
        Self { state: State::Raw, ..Self::new(stream, None) }
    }

    /// Whether all of the body was read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done && self.data.is_empty() && self.coding_read == self.coding.len()
    }

    /// Takes in what still comes, to its end or `limit` bytes of it: an answer that came early is lost to some callers (curl before 8.0) when their
    /// stream is reset before they have sent all of a small body.
    pub async fn discard(&mut self, limit: usize) {
        let mut seen = 0;
        while seen <= limit && !self.stream.is_end_stream() {
            match poll_fn(|cx| self.stream.poll_data(cx)).await {
                Some(Ok(data)) => seen += data.len(),
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Reads what there is. Reads nothing at the end of a stream that ended before its length was reached; not to be
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
                // What was read before an error is passed on first; the error comes again.
                Poll::Pending | Poll::Ready(Err(_)) if buf.filled().len() > before => {
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Copies what is there, and lets the peer send as much again.
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

    /// Waits for the next content, or the end; `false` where it came too early.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let State::Chunks { open: true } = self.state {
            self.say(b"\r\n");
            self.state = State::Chunks { open: false };
            return Poll::Ready(Ok(true));
        }
        if self.state == State::Trailers {
            let trailers = ready!(self.stream.poll_trailers(cx)).map_err(io::Error::other)?;
            self.say(b"0\r\n");
            heads::write_trailers(&mut self.coding, &trailers.unwrap_or_default());
            self.state = State::Done;
            return Poll::Ready(Ok(true));
        }
        let data = ready!(self.stream.poll_data(cx)).transpose().map_err(io::Error::other)?;
        self.state = match (self.state, &data) {
            (State::Length(left), Some(data)) => match left.checked_sub(data.len() as u64) {
                Some(0) => State::Done,
                Some(left) => State::Length(left),
                None => return Poll::Ready(Err(heads::broken("more content than its length"))),
            },
            (State::Length(_), None) => return Poll::Ready(Ok(false)),
            (State::Raw, Some(_)) => State::Raw,
            (State::Raw, None) => return Poll::Ready(Ok(false)),
            (_, Some(data)) if data.is_empty() => self.state,
            (_, Some(data)) => {
                self.say(b"");
                write!(self.coding, "{:x}\r\n", data.len())?;
                State::Chunks { open: true }
            }
            (_, None) => State::Trailers,
        };
        self.data = data.unwrap_or_default();
        Poll::Ready(Ok(true))
    }

    fn say(&mut self, coding: &[u8]) {
        self.coding.clear();
        self.coding_read = 0;
        self.coding.extend_from_slice(coding);
    }
}
