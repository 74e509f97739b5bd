//! HTTP/1.1 on a downstream connection: serves one request after the other until the connection is closed.

use std::future::poll_fn;
use std::io;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::connect;
use super::connect::ConnectTarget;
use super::http2;
use super::linger::linger;
use super::not_http::NotHttp;
use super::timeouts::LINGER_TIMEOUT;
use crate::net::buffer::Buffer;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::request::exchange;
use crate::proxy::request::outcome::Disposition;
use crate::proxy::request::refuse;
use crate::proxy::request::rejection::Rejection;
use crate::proxy::session::ConnectionContext;
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::MAX_HEAD;
use crate::proxy::wire::relay::Io;
use crate::proxy::wire::timer::ReusableTimer;

/// The protocol that a connection continues with after its requests in HTTP/1.1.
pub(crate) enum Next {
    /// None: the connection has ended.
    Done,
    /// HTTP/2. The buffer has the preface and the bytes after it.
    Http2(Buffer),
    /// The target of a `CONNECT`. The buffer has the bytes that the caller sent after the head.
    Connect(Buffer, Box<ConnectTarget>),
}

/// How a connection ends. Here and not where it is found out, so that the future of a connection has room for it once.
enum Ending<'p> {
    Close,
    /// The buffer has what the caller has sent after its request.
    Linger(Buffer),
    /// The head was not complete in time.
    Late,
    Refuse(Buffer, Box<Rejection<'p>>),
}

impl<'p> Ending<'p> {
    fn refuse(buffer: Buffer, rejection: Rejection<'p>) -> Self {
        Self::Refuse(buffer, Box::new(rejection))
    }
}

/// Serves requests until the connection ends or continues with another protocol.
pub(crate) async fn requests(context: &mut ConnectionContext, io: &mut impl Io) -> Next {
    let mut next_request = None;
    let mut is_first = true;
    // One timer for the time between requests and one for the time within: resetting a timer by a constant
    // duration costs least.
    let (mut between, mut within) = (ReusableTimer::default(), ReusableTimer::default());
    let ending = loop {
        let timeouts = &context.snapshot().downstream_timeouts;
        let (limit, head_limit) =
            (if is_first { timeouts.first_byte } else { timeouts.keep_alive }, timeouts.head);
        let mut buffer = match next_request.take() {
            Some(buffer) => buffer,
            None => match between.timeout(limit, first_bytes(io)).await {
                Ok(Ok(Some(buffer))) => buffer,
                _ => break Ending::Close,
            },
        };
        let head = match within.timeout(head_limit, read_head(io, &mut buffer)).await {
            Ok(Ok(Ok(length))) => length,
            Ok(Ok(Err(failure))) => break Ending::refuse(buffer, failure.into()),
            Ok(Err(_)) => break Ending::Close,
            Err(_) => break Ending::Late,
        };
        if is_first && &buffer.filled()[..head] == http2::PREFACE {
            return Next::Http2(buffer);
        }
        is_first = false;
        context.refresh();
        if context.is_service_removed() {
            break Ending::refuse(buffer, ProxyError::service_removed().into());
        }
        if connect::is_connect(buffer.filled()) {
            // Boxed: the future of a connection reserves space for what it awaits, and few connections get here.
            let target = Box::pin(connect::open(context, &buffer.filled()[..head])).await;
            buffer.consume(head);
            match target {
                Ok(target) => return Next::Connect(buffer, Box::new(target)),
                Err(rejection) => break Ending::refuse(buffer, rejection),
            }
        }
        match exchange::run(context, io, &mut buffer, head, false, &mut within).await {
            Disposition::KeepAlive => next_request = Some(buffer).filter(|buffer| !buffer.is_empty()),
            Disposition::LingeringClose => break Ending::Linger(buffer),
            Disposition::Close | Disposition::Abort(_) => break Ending::Close,
        }
    };
    match ending {
        Ending::Close => {}
        Ending::Linger(mut buffer) => linger(io, &mut buffer).await,
        Ending::Late => {
            let failure = ProxyError::new(ErrorReason::BadRequest, "the head was not complete in time");
            Box::pin(refuse::refuse(context, io, failure.into(), &mut within)).await;
        }
        Ending::Refuse(mut buffer, rejection) => {
            Box::pin(refuse::refuse(context, io, *rejection, &mut within)).await;
            linger(io, &mut buffer).await;
        }
    }
    // A shutdown flushes first, which never ends if the caller reads nothing.
    let _ = timeout(LINGER_TIMEOUT, io.shutdown()).await;
    Next::Done
}

/// Waits for the first bytes of a request. The connection has no buffer until then. `None` at the end of the
/// connection.
async fn first_bytes(io: &mut impl Io) -> io::Result<Option<Buffer>> {
    poll_fn(|cx| {
        let mut buffer = Buffer::acquire();
        buffer.poll_fill(cx, io).map_ok(|read| (read > 0).then_some(buffer))
    })
    .await
}

/// Reads until the head is complete and returns its length, or the error if it is too large or no head.
async fn read_head(io: &mut impl Io, buffer: &mut Buffer) -> io::Result<Result<usize, ProxyError>> {
    let mut searched = 0;
    loop {
        // An empty line before a request is ignored (RFC 9112 §2.2).
        while buffer.filled().starts_with(b"\r\n") {
            buffer.consume(2);
            searched = 0;
        }
        if let Some(protocol) = NotHttp::of(buffer.filled()) {
            return Ok(Err(protocol.error()));
        }
        if let Some(length) = parse_head::end(buffer.filled(), searched) {
            return Ok(if length <= MAX_HEAD { Ok(length) } else { Err(too_large()) });
        }
        // Here and not before: almost every head comes as a whole.
        if let Some(protocol) = NotHttp::of_first_line(buffer.filled()) {
            return Ok(Err(protocol.error()));
        }
        searched = buffer.filled().len();
        if searched > MAX_HEAD {
            return Ok(Err(too_large()));
        }
        if buffer.fill(io).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn too_large() -> ProxyError {
    ProxyError::new(ErrorReason::TooLarge, "the head is larger than 64 KiB")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, BufStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::config::DownstreamTimeouts;
    use crate::proxy::{DataPlane, Exposure, ListenerContext};

    fn proxy() -> ConnectionContext {
        ConnectionContext::new(
            Arc::new(DataPlane::empty()),
            Arc::new(ListenerContext::new(None, Exposure::Unix, None, Arc::default())),
        )
    }

    fn head_timeout() -> Duration {
        DownstreamTimeouts::default().head
    }

    /// Sends `pieces` with `pause` before each. Returns the response, and the time until the connection has
    /// ended.
    async fn served(pieces: &[&str], pause: Duration) -> (String, Duration) {
        let (mut client, mut server) = duplex(64 * 1024);
        let start = Instant::now();
        let serving = tokio::spawn(async move {
            requests(&mut proxy(), &mut server).await;
            start.elapsed()
        });
        for piece in pieces {
            sleep(pause).await;
            if client.write_all(piece.as_bytes()).await.is_err() {
                break;
            }
        }
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        drop(client);
        (response, serving.await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn head_timeout_ends_a_head_sent_byte_by_byte() {
        let (response, took) = served(&["G"; 100], Duration::from_secs(10)).await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
        assert!(took <= Duration::from_secs(10) + head_timeout() + LINGER_TIMEOUT, "{took:?}");
        let (_, took) = served(&["\r\n"; 100], Duration::from_secs(10)).await;
        assert!(took <= Duration::from_secs(10) + head_timeout() + LINGER_TIMEOUT, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connection_is_closed_without_response() {
        assert_eq!(
            served(&[], Duration::ZERO).await,
            (String::new(), DownstreamTimeouts::default().first_byte)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn rejected_caller_that_keeps_sending_is_read_briefly() {
        let mut pieces = vec!["POST /unknown HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"];
        pieces.extend(["more"; 100]);
        let (response, took) = served(&pieces, Duration::from_millis(100)).await;
        assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
        assert_eq!(response.matches("HTTP/1.1 ").count(), 1);
        assert!(took <= Duration::from_millis(200) + LINGER_TIMEOUT, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn rejected_caller_that_reads_nothing_is_closed() {
        let (mut client, server) = duplex(16);
        // With a write buffer, as a real connection has: a shutdown writes it first.
        let mut server = BufStream::new(server);
        let serving = tokio::spawn(async move {
            requests(&mut proxy(), &mut server).await;
        });
        client.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        timeout(2 * head_timeout(), serving).await.expect("the connection ends").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn response_to_rejected_head_request_has_no_body() {
        let (response, _) = served(&["HEAD /unknown HTTP/1.1\r\nHost: x\r\n\r\n"], Duration::ZERO).await;
        assert!(response.starts_with("HTTP/1.1 404 ") && response.ends_with("\r\n\r\n"), "{response}");
    }
}
