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
    let (slots, mut connections) = (Slots::new(limits.connections), JoinSet::new());
    let router = TowerToHyperService::new(router);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            (io, peer) = listener.accept() => {
                // Before the next one is accepted, so that descriptors are limited as well.
                if let Some(slot) = slots.acquire().await {
                    let answers = Answers { router: router.clone(), peer: peer.into(), limits };
                    connections.spawn(connection(io, answers, slot));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    slots.close_receiving();
    while connections.join_next().await.is_some() {}
}

/// Serves one connection until it ends, its time is over, or its slot is needed.
async fn connection<I: AsyncRead + AsyncWrite + Unpin>(io: I, answers: Answers, slot: Slot) {
    let entry = slot.entry();
    let service = service_fn(|request| answers.answer(request, Arc::clone(entry)));
    let limits = answers.limits;
    let mut http = http1::Builder::new();
    http.max_buf_size(limits.head_bytes).max_header_size(limits.head_bytes);
    let io = TokioIo::new(TrackedIo::new(io, Arc::clone(entry)));
    let mut serving = pin!(http.serve_connection(io, service));
    let mut closed = pin!(entry.closed());
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
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
