//! The body that an HTTP/2 stream brings, as the bytes of an HTTP/1.1 body.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use tokio::io::ReadBuf;

use super::coding::malformed;
use super::heads;
use super::inspector::Findings;

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
    /// The last content of a known length, until the stream has ended.
    held: Bytes,
    /// What was found in the field blocks of its connection, if it comes from a caller.
    findings: Option<Arc<Findings>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The number of bytes that are left.
    Length(u64),
    /// Chunked coding. `open`: the line ending after the last chunk is not written yet.
    Chunks {
        open: bool,
    },
    /// All of the length has come, and the end of the stream has not: `held` is read only then, so that a request with malformed
    /// trailers is not complete for the upstream.
    LengthEnd,
    /// Content without coding, until the stream ends.
    Raw,
    Trailers,
    /// A part of the trailer section was dropped. Every read fails.
    Malformed,
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
        Self {
            stream,
            data: Bytes::new(),
            coding: Vec::new(),
            coding_read: 0,
            state,
            held: Bytes::new(),
            findings: None,
        }
    }

    /// Content without coding: it ends with the stream.
    pub fn raw(stream: RecvStream) -> Self {
        Self { state: State::Raw, ..Self::new(stream, None) }
    }

    /// The same body, whose trailer section is checked against what was found.
    #[must_use]
    pub fn checked(self, findings: Arc<Findings>) -> Self {
        Self { findings: Some(findings), ..self }
    }

    /// Whether the whole body was read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done && self.data.is_empty() && self.coding_read == self.coding.len()
    }

    /// Whether the body ends without content, and without malformed trailers. Nothing was read of it before.
    pub async fn is_empty(&mut self) -> bool {
        while let Some(data) = self.stream.data().await {
            if !data.is_ok_and(|data| data.is_empty()) {
                return false;
            }
        }
        match (self.stream.trailers().await, &self.findings) {
            (Ok(Some(trailers)), Some(findings)) => {
                findings.check_trailers(self.stream.stream_id().as_u32(), trailers.len())
            }
            (Ok(_), _) => true,
            (Err(_), _) => false,
        }
    }

    /// Reads and discards the rest of the body, `limit` bytes at most.
    ///
    /// Some callers (curl before 8.0) lose a response that arrives early if their stream is reset before they
    /// have sent all of a small body.
    pub async fn discard(&mut self, limit: usize) {
        let mut discarded = 0;
        while discarded <= limit && !self.stream.is_end_stream() {
            match poll_fn(|cx| self.stream.poll_data(cx)).await {
                Some(Ok(data)) => discarded += data.len(),
                Some(Err(_)) | None => return,
            }
        }
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
        if self.state == State::Malformed {
            return Poll::Ready(Err(malformed("trailers of which some are dropped")));
        }
        if self.state == State::Trailers {
            let Some(trailers) = ready!(self.poll_trailers(cx))? else { return self.poll_more(cx) };
            self.set_coding(b"0\r\n");
            heads::write_trailers(&mut self.coding, &trailers);
            self.state = State::Done;
            return Poll::Ready(Ok(true));
        }
        let mut data = ready!(self.stream.poll_data(cx)).transpose().map_err(io::Error::other)?;
        if self.state == State::LengthEnd {
            match data {
                Some(data) if data.is_empty() => {}
                Some(_) => return Poll::Ready(Err(malformed("more content than its length"))),
                None => {
                    if ready!(self.poll_trailers(cx))?.is_none() {
                        return self.poll_more(cx);
                    }
                    self.data = std::mem::take(&mut self.held);
                    self.state = State::Done;
                }
            }
            return Poll::Ready(Ok(true));
        }
        self.state = match (self.state, &mut data) {
            (State::Length(left), Some(content)) => match left.checked_sub(content.len() as u64) {
                Some(0) if self.findings.is_some() && !self.stream.is_end_stream() => {
                    self.held = std::mem::take(content);
                    State::LengthEnd
                }
                Some(0) => State::Done,
                Some(left) => State::Length(left),
                None => return Poll::Ready(Err(malformed("more content than its length"))),
            },
            (State::Length(_), None) => return Poll::Ready(Ok(false)),
            (State::Raw, Some(_)) => State::Raw,
            (State::Raw, None) => return Poll::Ready(Ok(false)),
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

    /// The trailers; `None` if some were dropped, and every read fails.
    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<HeaderMap>>> {
        let trailers = ready!(self.stream.poll_trailers(cx)).map_err(io::Error::other)?;
        if let (Some(trailers), Some(findings)) = (&trailers, &self.findings)
            && !findings.check_trailers(self.stream.stream_id().as_u32(), trailers.len())
        {
            self.state = State::Malformed;
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(Ok(Some(trailers.unwrap_or_default())))
    }

    fn set_coding(&mut self, coding: &[u8]) {
        self.coding.clear();
        self.coding_read = 0;
        self.coding.extend_from_slice(coding);
    }
}
