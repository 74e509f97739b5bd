//! Sends the bytes of an HTTP/1.1 body by an HTTP/2 stream.

use std::io;
use std::task::{Context, Poll, ready};

use super::coding::{ChunkedState, Coding, malformed};

/// Where the content of a body goes: a stream.
pub trait BodySink {
    /// Sends as much as the peer's windows allow, and returns its length. `is_last`: nothing follows the last of it.
    fn poll_send(&mut self, cx: &mut Context<'_>, content: &[u8], is_last: bool) -> Poll<io::Result<usize>>;

    /// Ends the stream with a trailer section, empty line included.
    fn send_trailers(&mut self, section: &[u8]) -> io::Result<()>;
}

/// Turns the bytes of a body, behind a head that was sent, to content and trailers.
pub struct OutboundBody {
    coding: Coding,
}

impl OutboundBody {
    /// `coding` is that of the bytes that will be written.
    pub fn new(coding: Coding) -> Self {
        Self { coding }
    }

    /// Sends as much of a body as the peer's flow-control window allows; returns the number of bytes used.
    pub fn poll_write(
        &mut self,
        sink: &mut impl BodySink,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut used = 0;
        while used < bytes.len() {
            match self.step(sink, cx, &bytes[used..]) {
                Poll::Ready(Ok(count)) => used += count,
                Poll::Pending if used > 0 => break,
                other => return other,
            }
        }
        Poll::Ready(Ok(used))
    }

    /// Ends a body whose coding does not say where it ends ([`Coding::Raw`]).
    pub fn finish(&mut self, sink: &mut impl BodySink, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.coding == Coding::Raw {
            ready!(sink.poll_send(cx, &[], true))?;
            self.coding = Coding::NONE;
        }
        Poll::Ready(Ok(()))
    }

    fn step(
        &mut self,
        sink: &mut impl BodySink,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let chunked = match &mut self.coding {
            Coding::Length(0) => return Poll::Ready(Err(malformed("bytes after its end"))),
            Coding::Length(left) => {
                let offered = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let whole = offered as u64 == *left;
                let count = ready!(sink.poll_send(cx, &bytes[..offered], whole))?;
                *left -= count as u64;
                return Poll::Ready(Ok(count));
            }
            Coding::Raw => return sink.poll_send(cx, bytes, false),
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
                let count = ready!(sink.poll_send(cx, &bytes[..offered], whole))?;
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
                    if chunked.line == b"\r\n" {
                        ready!(sink.poll_send(cx, &[], true))?;
                    } else {
                        sink.send_trailers(&chunked.line)?;
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
