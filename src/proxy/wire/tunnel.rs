//! Bytes, both ways, that nobody looks at: after the switch to WebSocket, and after a `CONNECT` to a host of no service.

use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};
use tokio::time::{Instant, timeout_at};

use super::relay::Io;

/// Moves bytes until both sides have ended, each in its own time; `first` goes to `other` before anything else. Where
/// there is an `idle` limit, nothing may stand still for longer.
pub(crate) async fn run(
    caller: &mut impl Io,
    other: &mut impl Io,
    first: &[u8],
    idle: Option<Duration>,
) -> io::Result<()> {
    other.write_all(first).await?;
    other.flush().await?;
    let Some(idle) = idle else { return copy_bidirectional(caller, other).await.map(drop) };
    let clock = LastActivity { start: Instant::now(), last: AtomicU64::new(0) };
    let mut caller = ActivityTracked { io: caller, clock: &clock };
    let mut moving = pin!(copy_bidirectional(&mut caller, other));
    loop {
        let limit = clock.last() + idle;
        match timeout_at(limit, &mut moving).await {
            Ok(moved) => return moved.map(drop),
            Err(_) if clock.last() + idle > limit => {}
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// When something last passed.
struct LastActivity {
    start: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
}

impl LastActivity {
    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }
}

/// One end of it. All that passes is read from it or written to it, so one is enough.
struct ActivityTracked<'a, I> {
    io: &'a mut I,
    clock: &'a LastActivity,
}

impl<I: Io> AsyncRead for ActivityTracked<'_, I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut *this.io).poll_read(cx, buf);
        if read.is_ready() {
            this.clock.touch();
        }
        read
    }
}

impl<I: Io> AsyncWrite for ActivityTracked<'_, I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut *this.io).poll_write(cx, buf);
        if written.is_ready() {
            this.clock.touch();
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::sleep;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn what_stands_still_is_closed_and_what_moves_is_not() {
        for from_caller in [true, false] {
            let (caller_end, mut caller) = duplex(64);
            let (other_end, mut other) = duplex(64);
            let start = Instant::now();
            let running = tokio::spawn(async move {
                let ended = run(&mut caller, &mut other, b"", Some(IDLE)).await;
                (ended, start.elapsed())
            });
            let (mut sender, mut receiver) =
                if from_caller { (caller_end, other_end) } else { (other_end, caller_end) };
            for _ in 0..10 {
                sleep(Duration::from_secs(59)).await;
                sender.write_all(b"x").await.unwrap();
                assert_eq!(receiver.read_u8().await.unwrap(), b'x');
            }
            let (ended, took) = running.await.unwrap();
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(took.as_secs(), 10 * 59 + 60);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_side_ends_in_its_own_time() {
        for idle in [None, Some(IDLE)] {
            let (mut caller_end, mut caller) = duplex(64);
            let (mut other_end, mut other) = duplex(64);
            let running = tokio::spawn(async move { run(&mut caller, &mut other, b"first ", idle).await });
            caller_end.write_all(b"second").await.unwrap();
            caller_end.shutdown().await.unwrap();
            let mut seen = String::new();
            other_end.read_to_string(&mut seen).await.unwrap();
            assert_eq!(seen, "first second");
            other_end.write_all(b"still here").await.unwrap();
            drop(other_end);
            seen.clear();
            caller_end.read_to_string(&mut seen).await.unwrap();
            assert_eq!(seen, "still here");
            running.await.unwrap().unwrap();
        }
    }
}
