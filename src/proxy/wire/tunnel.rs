//! A tunnel: bytes that are passed in both directions without being read. It follows the switch to WebSocket,
//! and a `CONNECT` that is not intercepted.

use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};
use tokio::time::{Instant, timeout_at};

use super::relay::Io;

/// Moves bytes until both sides have ended, each independently. `first` is sent to `other` before anything
/// else. Fails if no byte is moved for the duration `idle`.
pub(crate) async fn run(
    caller: &mut impl Io,
    other: &mut impl Io,
    first: &[u8],
    idle: Option<Duration>,
) -> io::Result<()> {
    other.write_all(first).await?;
    other.flush().await?;
    let Some(idle) = idle else { return copy_bidirectional(caller, other).await.map(drop) };
    let activity = LastActivity { start: Instant::now(), millis: AtomicU64::new(0) };
    let mut caller = ActivityTracked { io: caller, activity: &activity };
    let mut copying = pin!(copy_bidirectional(&mut caller, other));
    loop {
        let deadline = activity.last() + idle;
        match timeout_at(deadline, &mut copying).await {
            Ok(copied) => return copied.map(drop),
            Err(_) if activity.last() + idle > deadline => {}
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// The time at which a byte was last moved.
struct LastActivity {
    start: Instant,
    /// That time as milliseconds since `start`.
    millis: AtomicU64,
}

impl LastActivity {
    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }
}

/// One end of the tunnel, whose reads and writes are recorded. Every byte is read from this end or written to
/// it, so that one end is enough.
struct ActivityTracked<'a, I> {
    io: &'a mut I,
    activity: &'a LastActivity,
}

impl<I: Io> AsyncRead for ActivityTracked<'_, I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut *this.io).poll_read(cx, buf);
        if read.is_ready() {
            this.activity.touch();
        }
        read
    }
}

impl<I: Io> AsyncWrite for ActivityTracked<'_, I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut *this.io).poll_write(cx, buf);
        if written.is_ready() {
            this.activity.touch();
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
    async fn idle_tunnel_is_closed_after_its_limit() {
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
    async fn tunnel_ends_when_both_sides_have_ended() {
        for idle in [None, Some(IDLE)] {
            let (mut caller_end, mut caller) = duplex(64);
            let (mut other_end, mut other) = duplex(64);
            let running = tokio::spawn(async move { run(&mut caller, &mut other, b"first ", idle).await });
            caller_end.write_all(b"second").await.unwrap();
            caller_end.shutdown().await.unwrap();
            let mut received = String::new();
            other_end.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, "first second");
            other_end.write_all(b"after the half-close").await.unwrap();
            drop(other_end);
            received.clear();
            caller_end.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, "after the half-close");
            running.await.unwrap().unwrap();
        }
    }
}
