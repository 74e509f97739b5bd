//! Accepts and serves connections.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::answer::Answers;
use super::limits::ServerLimits;
use super::peer::PeerListener;
use super::slots::{Slot, Slots};
use super::tracked_io::TrackedIo;

/// Serves requests by the router until `stop` ends, and returns when the responses that were made by then are
/// written.
pub async fn serve(
    mut listener: impl PeerListener,
    router: Router,
    limits: ServerLimits,
    stop: impl Future<Output = ()>,
) {
    let (slots, mut connections) = (Slots::new(limits.server, limits.connections), JoinSet::new());
    let router = TowerToHyperService::new(router);
    let mut stop = pin!(stop);
    let (stopping, stopped) = watch::channel(());
    loop {
        tokio::select! {
            () = &mut stop => break,
            (io, peer) = listener.accept() => {
                // Before the next one is accepted, so that descriptors are limited as well.
                if let Some(slot) = slots.acquire().await {
                    let answers = Answers { router: router.clone(), peer: peer.into(), limits };
                    connections.spawn(connection(io, answers, slot, stopped.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(stopping);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection until it ends, its time is over, or its slot is needed. Once the sender of `stopped` is gone, it ends with
/// the response that is being made or written, and at once without one.
async fn connection<I: AsyncRead + AsyncWrite + Unpin>(
    io: I,
    answers: Answers,
    slot: Slot,
    mut stopped: watch::Receiver<()>,
) {
    let entry = slot.entry();
    let service = service_fn(|request| answers.answer(request, Arc::clone(entry)));
    let limits = answers.limits;
    let mut http = http1::Builder::new();
    http.max_buf_size(limits.head_bytes).max_header_size(limits.head_bytes);
    let io = TokioIo::new(TrackedIo::new(io, Arc::clone(entry)));
    let mut serving = pin!(http.serve_connection(io, service));
    let mut closed = pin!(entry.closed());
    let mut timer = pin!(sleep_until(Instant::now()));
    let mut stopped = pin!(stopped.changed());
    let mut is_stopped = false;
    poll_fn(|cx| {
        if !is_stopped && stopped.as_mut().poll(cx).is_ready() {
            is_stopped = true;
            serving.as_mut().graceful_shutdown();
        }
        if serving.as_mut().poll(cx).is_ready() || closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(deadline) = entry.deadline(&limits) else { return Poll::Pending };
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    const LIMITS: ServerLimits = ServerLimits {
        server: "admin",
        connections: 8,
        head_bytes: 8192,
        body_bytes: 8,
        request_time: Duration::from_secs(60),
        idle_time: Duration::from_secs(60),
    };

    /// Reads until the text ends like this.
    async fn read_to(connection: &mut TcpStream, end: &str) {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(connection.read_u8().await.unwrap().into());
        }
    }

    #[tokio::test]
    async fn stop_completes_a_request_and_closes_idle_connections() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(|body: String| async move { body }));
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let server = tokio::spawn(serve(listener, router, LIMITS, stopped));
        let [mut idle, mut silent, mut sending] = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        idle.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.unwrap();
        read_to(&mut idle, "\r\n\r\nx").await;
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        sending.write_all(head).await.unwrap();
        read_to(&mut sending, "100 Continue\r\n\r\n").await;
        sending.write_all(b"a").await.unwrap();

        stop.send(()).unwrap();
        let rest = async |connection: &mut TcpStream| {
            let mut rest = String::new();
            timeout(Duration::from_secs(10), connection.read_to_string(&mut rest)).await.unwrap().unwrap();
            rest
        };
        assert_eq!((rest(&mut idle).await, rest(&mut silent).await), (String::new(), String::new()));
        drop((idle, silent));
        sending.write_all(b"b").await.unwrap();
        let response = rest(&mut sending).await;
        assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("\r\n\r\nab"), "{response}");
        drop(sending);
        timeout(Duration::from_secs(10), server).await.unwrap().unwrap();
    }
}
