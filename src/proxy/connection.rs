//! One caller's connection: request after request until one side has had enough.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::Proxy;
use super::buffer::Buffer;
use super::exchange::{self, After};
use super::failure::{Failure, Reason};
use super::head::{self, MAX_HEAD};
use super::relay::{self, Io};

/// A caller's connection may be idle for this long.
const KEEP_ALIVE: Duration = Duration::from_secs(300);
/// A head that was begun must be whole after this long.
const HEAD: Duration = Duration::from_secs(30);
/// A caller that still sends while it has been answered is listened to for this long, so that the answer is not lost
/// in a reset.
const LINGER: Duration = Duration::from_secs(1);

/// Serves requests until the connection ends. `own` is the service whose listener it came in by.
pub(super) async fn serve(proxy: &Proxy, own: Option<usize>, io: &mut impl Io) {
    let mut left = None;
    loop {
        let buffer = match left.take() {
            Some(buffer) => Ok(Ok(Some(buffer))),
            None => timeout(KEEP_ALIVE, first_bytes(io)).await,
        };
        let Ok(Ok(Some(mut buffer))) = buffer else { break };
        let head = match timeout(HEAD, read_head(io, &mut buffer)).await {
            Ok(Ok(Some(length))) => length,
            Ok(Ok(None)) => {
                let failure = Failure::new(Reason::TooLarge, "the head is larger than 64 KiB");
                refuse(proxy, io, &failure).await;
                break linger(io, &mut buffer).await;
            }
            Ok(Err(_)) => break,
            Err(_) => {
                refuse(proxy, io, &Failure::new(Reason::BadRequest, "the head was not whole in time")).await;
                break;
            }
        };
        match exchange::run(proxy, own, io, &mut buffer, head).await {
            After::KeepAlive => left = Some(buffer).filter(|buffer| !buffer.is_empty()),
            After::Linger => break linger(io, &mut buffer).await,
            After::Close => break,
        }
    }
    let _ = io.shutdown().await;
}

/// Waits for a request to begin; the connection holds no buffer until then. `None` at the end of the connection.
async fn first_bytes(io: &mut impl Io) -> io::Result<Option<Buffer>> {
    poll_fn(|cx| {
        let mut buffer = Buffer::take();
        buffer.poll_fill(cx, io).map_ok(|read| (read > 0).then_some(buffer))
    })
    .await
}

/// Reads until the head is whole and returns its length; `None` where it is too large.
async fn read_head(io: &mut impl Io, buffer: &mut Buffer) -> io::Result<Option<usize>> {
    let mut seen = 0;
    loop {
        // An empty line before a request is tolerated (RFC 9112 §2.2).
        while buffer.filled().starts_with(b"\r\n") {
            buffer.consume(2);
            seen = 0;
        }
        if let Some(length) = head::end(buffer.filled(), seen) {
            return Ok((length <= MAX_HEAD).then_some(length));
        }
        seen = buffer.filled().len();
        if seen > MAX_HEAD {
            return Ok(None);
        }
        if buffer.fill(io).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Answers a request of which too little is known to lead it anywhere.
pub(super) async fn refuse(proxy: &Proxy, io: &mut impl Io, failure: &Failure) {
    proxy.metrics.error("", failure.reason.as_str());
    tracing::debug!(sidekey.error = failure.reason.as_str(), "request refused: {}", failure.cause);
    let mut out = Buffer::take();
    failure.write(out.bytes_mut(), false, false);
    let _ = relay::write(io, out.filled(), HEAD).await;
}

/// Says that nothing more comes, and takes in what the caller still sends for a moment.
async fn linger(io: &mut impl Io, buffer: &mut Buffer) {
    let discard = async {
        io.shutdown().await?;
        while {
            buffer.clear();
            buffer.fill(io).await? > 0
        } {}
        io::Result::Ok(())
    };
    let _ = timeout(LINGER, discard).await;
}
