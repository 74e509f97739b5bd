//! Sends the bytes of an HTTP/1.1 body by an HTTP/2 stream.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};

use super::coding::{ChunkedState, Coding, malformed};
use super::heads;

/// The sending side of a stream, behind a head that has been sent.
pub struct OutboundBody {
    stream: SendStream<Bytes>,
    coding: Coding,
}

impl OutboundBody {
    /// `coding` is that of the bytes that will be written.
    pub fn new(stream: SendStream<Bytes>, coding: Coding) -> Self {
        Self { stream, coding }
    }

    /// Sends as much of a body as the peer's flow-control window allows; returns the number of bytes used.
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

    /// The reason for which the peer has reset the stream; pending until it does.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        self.stream.poll_reset(cx)
    }

    /// Ends a body whose coding does not say where it ends ([`Coding::Raw`]).
    pub fn finish(&mut self) -> io::Result<()> {
        if self.coding == Coding::Raw {
            self.coding = Coding::NONE;
            self.stream.send_data(Bytes::new(), true).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Resets the stream.
    pub fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    fn step(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let chunked = match &mut self.coding {
            Coding::Length(0) => return Poll::Ready(Err(malformed("bytes after its end"))),
            Coding::Length(left) => {
                let offered = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let whole = offered as u64 == *left;
                let count = ready!(send(&mut self.stream, cx, &bytes[..offered], whole))?;
                *left -= count as u64;
                return Poll::Ready(Ok(count));
            }
            Coding::Raw => return send(&mut self.stream, cx, bytes, false),
            Coding::Chunked(chunked) => chunked,
        };
        Poll::Ready(match chunked.state {
            ChunkedState::SizeLine => {
                let (count, whole) = chunked.take_line(bytes)?;
                if whole {
                    let size = chunked.chunk_size()?;
                    chunked.line.clear();
                    chunked.state = if size == 0 { ChunkedState::Trailers } else { ChunkedState::Data(size) };
                }
                Ok(count)
            }
            ChunkedState::Data(left) => {
                let offered = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                // The last chunk and the end of the body are often in one write, and so fit into one frame.
                let whole = offered as u64 == left && &bytes[offered..] == b"\r\n0\r\n\r\n";
                let count = ready!(send(&mut self.stream, cx, &bytes[..offered], whole))?;
                if whole && count == offered {
                    chunked.state = ChunkedState::Done;
                    return Poll::Ready(Ok(bytes.len()));
                }
                let left = left - count as u64;
                chunked.state = if left == 0 { ChunkedState::DataEnd(2) } else { ChunkedState::Data(left) };
                Ok(count)
            }
            ChunkedState::DataEnd(left) => {
                let count = usize::from(left).min(bytes.len());
                let left = left - u8::try_from(count).unwrap_or(left);
                chunked.state = if left == 0 { ChunkedState::SizeLine } else { ChunkedState::DataEnd(left) };
                Ok(count)
            }
            ChunkedState::Trailers => {
                let (count, whole) = chunked.take_line(bytes)?;
                if whole && (chunked.line == b"\r\n" || chunked.line.ends_with(b"\r\n\r\n")) {
                    let trailers = heads::read_trailers(&chunked.line)?;
                    if trailers.is_empty() {
                        self.stream.send_data(Bytes::new(), true).map_err(io::Error::other)?;
                    } else {
                        self.stream.send_trailers(trailers).map_err(io::Error::other)?;
                    }
                    chunked.line = Vec::new();
                    chunked.state = ChunkedState::Done;
                }
                Ok(count)
            }
            ChunkedState::Done => Err(malformed("bytes after its end")),
        })
    }
}

/// Sends as much of `bytes` as the peer's window allows. `last`: nothing follows the last of them.
fn send(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    bytes: &[u8],
    last: bool,
) -> Poll<io::Result<usize>> {
    let mut capacity = stream.capacity();
    if capacity < bytes.len() {
        stream.reserve_capacity(bytes.len());
        capacity = stream.capacity();
    }
    while capacity == 0 {
        capacity = match ready!(stream.poll_capacity(cx)) {
            Some(Ok(capacity)) => capacity,
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            None => return Poll::Ready(Err(ended(stream, cx))),
        };
    }
    let count = capacity.min(bytes.len());
    let data = Bytes::copy_from_slice(&bytes[..count]);
    stream.send_data(data, last && count == bytes.len()).map_err(io::Error::other)?;
    Poll::Ready(Ok(count))
}

/// The error of a stream that accepts no more data.
fn ended(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> io::Error {
    match stream.poll_reset(cx) {
        Poll::Ready(Ok(reason)) => io::Error::other(h2::Error::from(reason)),
        Poll::Ready(Err(error)) => io::Error::other(error),
        Poll::Pending => io::ErrorKind::BrokenPipe.into(),
    }
}
