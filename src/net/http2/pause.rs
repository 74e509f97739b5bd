//! A pause in the reading of a connection.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// A time in which the other connections of the worker come first.
pub(super) struct Pause {
    is_over: AtomicBool,
    /// The task of the connection, which is woken at the end.
    task: Waker,
}

impl Pause {
    /// Begins a pause, which ends when the sockets of the worker were looked at, and every task that was ready has run.
    pub(super) fn begin(cx: &Context<'_>) -> Arc<Self> {
        let pause = Arc::new(Self { is_over: AtomicBool::new(false), task: cx.waker().clone() });
        let waker = pause.clone().into();
        let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
        pause
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl Wake for Pause {
    fn wake(self: Arc<Self>) {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}
