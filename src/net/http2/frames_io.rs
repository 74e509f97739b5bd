//! Reads and writes the frames of a connection. All frames of a turn are written at once.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::StreamError;
use super::pause::Pause;
use super::receiver::{Receiver, Role};
use super::requests::{Accepted, Requests};
use super::responses::Responses;
use super::streams::Streams;
use crate::net::buffer::Buffer;
use crate::proto::http2::Reason;
use crate::proto::http2::frame::PREFACE;

/// Bytes that are read at once from a peer that sends frames without content: a hundred frames.
const SMALL_READ: usize = 1024;
/// Number of reads after which other connections of the worker come first. A peer that always sends more would be read until tokio's
/// budget is spent, which is four megabytes: hundreds of thousands of small frames.
const MAX_READS: usize = 2;
/// The limit on the answers to frames that are to be written. At the limit nothing is read from the peer. Content that waits to be
/// written does not count: some peers read nothing until what they send was read.
const MAX_ANSWERS: usize = 32 * 1024;

/// A connection.
pub(crate) struct FramesIo<I, R> {
    io: I,
    receiver: Receiver<R>,
    /// Shared with the futures of the streams, which run on the same thread: the lock never waits.
    streams: Arc<Mutex<Streams>>,
    /// Bytes that are no whole frame yet. A connection that waits for a frame has no buffer.
    input: Option<Buffer>,
    /// Whether the bytes that came with the preface were not looked at yet.
    is_unread: bool,
    /// Frames that are being written.
    writing: Option<Buffer>,
    is_flush_due: bool,
    /// Bytes that the frames of the peer have caused, of those that are not being written yet.
    answers: usize,
    /// Whether nothing was read, because too many answers were to be written.
    is_blocked: bool,
    /// Number of reads since the task was polled, or since the last pause.
    reads: usize,
    /// While other connections come first.
    pause: Option<Arc<Pause>>,
    /// Whether they had their turn since the last read of few bytes.
    has_paused: bool,
}

/// The reason for which a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("the peer has closed it")]
    Closed,
    #[error("{0}")]
    Error(Reason),
    #[error("{0}")]
    Failed(#[from] io::Error),
}

impl From<End> for io::Error {
    fn from(end: End) -> Self {
        match end {
            End::Closed => io::ErrorKind::UnexpectedEof.into(),
            End::Failed(error) => error,
            end @ End::Error(_) => Self::other(end),
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> FramesIo<I, Requests> {
    /// A connection from a caller. `read` has the bytes that were read already, those of the preface first.
    pub(crate) fn server(io: I, read: Buffer, max_streams: u32) -> Self {
        let streams = Streams::server(max_streams);
        Self { input: Some(read), is_unread: true, ..Self::new(io, Requests::default(), streams) }
    }

    /// Reads the preface. The settings of this side are written before.
    pub(crate) async fn read_preface(&mut self) -> Result<(), End> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_write_out(cx) {
                return Poll::Ready(Err(error.into()));
            }
            loop {
                let input = self.input.get_or_insert_with(Buffer::acquire);
                let known = input.filled().len().min(PREFACE.len());
                if input.filled()[..known] != PREFACE[..known] {
                    return Poll::Ready(Err(End::Error(Reason::PROTOCOL_ERROR)));
                }
                if known == PREFACE.len() {
                    input.consume(known);
                    return Poll::Ready(Ok(()));
                }
                if ready!(input.poll_fill(cx, &mut self.io))? == 0 {
                    return Poll::Ready(Err(End::Closed));
                }
            }
        })
        .await
    }

    /// The next request that has come.
    pub(crate) fn next_accepted(&mut self) -> Option<Accepted> {
        self.receiver.role.next_accepted(&self.streams)
    }

    /// Says that no further streams should be opened.
    pub(crate) fn begin_drain(&mut self) {
        self.receiver.role.begin_drain(&mut self.streams.lock());
    }

    /// Whether no further request comes.
    pub(crate) fn is_drained(&self) -> bool {
        self.receiver.role.is_last_said()
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> FramesIo<I, Responses> {
    /// A connection to an upstream, whose heads have at most the size `max_head`.
    pub(crate) fn client(io: I, max_head: u32) -> Self {
        Self::new(io, Responses::new(max_head), Streams::client(max_head))
    }

    /// The streams, to open some.
    pub(crate) fn streams(&self) -> &Arc<Mutex<Streams>> {
        &self.streams
    }

    /// Sends the PING that a stream has requested; returns whether one is not acknowledged.
    pub(crate) fn probe(&mut self) -> bool {
        let mut streams = self.streams.lock();
        streams.send_requested_ping();
        streams.awaits_ping()
    }

    /// Waits until a stream has something to be written.
    pub(crate) fn wait_for_work(&self, cx: &Context<'_>) {
        self.streams.lock().wait_for_work(cx);
    }

    /// Writes all frames, and ends the connection.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Whether there is no stream, and there will be none.
    pub(crate) fn is_over(&self) -> bool {
        self.streams.lock().is_over()
    }

    /// Ends all streams, because the connection has ended so.
    pub(crate) fn fail_all(&self, end: &End) {
        self.streams.lock().fail_all(match end {
            End::Closed => StreamError::Io(io::ErrorKind::UnexpectedEof),
            End::Error(reason) => StreamError::Connection(*reason),
            End::Failed(error) => StreamError::Io(error.kind()),
        });
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin, R: Role> FramesIo<I, R> {
    fn new(io: I, role: R, streams: Streams) -> Self {
        Self {
            io,
            receiver: Receiver::new(role),
            streams: Arc::new(Mutex::new(streams)),
            input: None,
            is_unread: false,
            writing: None,
            is_flush_due: false,
            answers: 0,
            is_blocked: false,
            reads: 0,
            pause: None,
            has_paused: false,
        }
    }

    /// Notes that the task is polled.
    pub(crate) fn begin_poll(&mut self) {
        // The task is woken by its streams as well, which the frames of a peer can do all the time.
        if self.pause.as_ref().is_none_or(|pause| pause.is_over()) {
            (self.reads, self.pause) = (0, None);
        }
    }

    /// Reads once, and takes the frames that have come. Pending if there are none, if nothing more should come before the
    /// answers are written, or if other connections come first.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.is_blocked = self.answers >= MAX_ANSWERS;
        if self.is_blocked {
            return Poll::Pending;
        }
        if !std::mem::take(&mut self.is_unread) {
            if self.reads >= MAX_READS {
                self.pause(cx);
            }
            if self.pause.is_some() {
                return Poll::Pending;
            }
            self.reads += 1;
            let polled = self.poll_read(cx);
            if polled.is_pending() {
                self.input.take_if(|input| input.is_empty());
            }
            if ready!(polled)? == 0 {
                return Poll::Ready(Err(End::Closed));
            }
        }
        let Some(input) = &mut self.input else { return Poll::Pending };
        let mut streams = self.streams.lock();
        let unwritten = streams.unwritten();
        let received = self.receiver.receive(input, &mut streams).map_err(End::Error);
        self.answers += streams.unwritten() - unwritten;
        Poll::Ready(received)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let input = self.input.get_or_insert_with(Buffer::acquire);
        if !self.receiver.is_in_long_row() {
            return input.poll_fill(cx, &mut self.io);
        }
        // Little is read, and after every other connection of the worker that is ready.
        if !std::mem::replace(&mut self.has_paused, true) {
            self.pause(cx);
            return Poll::Pending;
        }
        let mut bytes = [0; SMALL_READ];
        let mut part = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        self.has_paused = false;
        input.append(part.filled());
        Poll::Ready(Ok(part.filled().len()))
    }

    /// Lets every other connection of the worker come first that is ready, or that becomes ready until then.
    fn pause(&mut self, cx: &Context<'_>) {
        self.pause.get_or_insert_with(|| Pause::begin(cx));
    }

    /// What the peer has begun to send and has not completed: the stream of a field block, which all other frames wait for. 0
    /// for any other frame, if no stream is open (`is_idle`).
    pub(crate) fn unfinished(&self, is_idle: bool) -> Option<u32> {
        let input = self.input.as_ref().map_or(&[][..], Buffer::filled);
        self.receiver.unfinished_block(input).or((is_idle && !input.is_empty()).then_some(0))
    }

    /// Whether nothing was read because too many answers were to be written, and they were written since.
    pub(crate) fn can_receive_again(&self) -> bool {
        self.is_blocked && self.answers < MAX_ANSWERS
    }

    /// Writes all frames. Ready when nothing is left.
    pub(crate) fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.writing.is_none() {
                self.writing = self.streams.lock().take_out();
                self.answers = 0;
            }
            let Some(writing) = &mut self.writing else { break };
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, writing.filled()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.is_flush_due = true;
            writing.consume(count);
            if writing.is_empty() {
                self.writing = None;
            }
        }
        if self.is_flush_due {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_flush_due = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Lets the streams go on that wait for their turn.
    pub(crate) fn begin_turn(&self) {
        self.streams.lock().begin_turn();
    }

    /// Whether a stream waits for its turn.
    pub(crate) fn is_turn_due(&self) -> bool {
        self.streams.lock().is_turn_due()
    }

    /// Says why the connection ends.
    pub(crate) fn go_away(&mut self, reason: Reason) {
        self.streams.lock().go_away(reason);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::proto::http2::frame::{self, kind};

    /// A caller that sends the same frame without end. Its reads are counted.
    struct Endless {
        frames: Vec<u8>,
        reads: usize,
    }

    impl AsyncRead for Endless {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.reads += 1;
            let count = buf.remaining().min(self.frames.len());
            buf.put_slice(&self.frames[..count - count % 13]);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Endless {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn caller_that_always_sends_is_read_in_turns_with_others() {
        let mut window_update = Vec::new();
        frame::put_window_update(&mut window_update, 0, 1);
        let mut io = Endless { frames: window_update.repeat(5000), reads: 0 };
        let mut begin = Buffer::acquire();
        begin.append(PREFACE);
        frame::put(begin.bytes_mut(), kind::SETTINGS, 0, 0, &[]);
        let mut frames = FramesIo::server(&mut io, begin, 1);
        frames.read_preface().await.unwrap();
        let mut polls = 0;
        // Pending without a wake-up would hang.
        poll_fn(|cx| {
            frames.begin_poll();
            while frames.poll_receive(cx).map(Result::unwrap).is_ready() {}
            polls += 1;
            if polls == 5 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        // Polled because of something else, before the others had their turn.
        let mut cx = Context::from_waker(Waker::noop());
        frames.begin_poll();
        assert!(frames.poll_receive(&mut cx).is_pending());
        drop(frames);
        assert_eq!(io.reads, 5 * MAX_READS);
    }
}
