//! The keys of an issuer that are in use, and when they are fetched.
//!
//! Unlike a token, keys do not end: while they cannot be fetched, the last ones stay in use. So they are no value of `refresh`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::fetch::JwksClient;
use super::jwks::KeySet;

/// Time between two requests for the keys. A key that is revoked is in use for so long.
const INTERVAL: Duration = Duration::from_secs(300);

/// The shortest time between two requests, however many tokens name a key that is not known.
const MIN_INTERVAL: Duration = Duration::from_secs(10);

/// Pauses after requests that failed.
const RETRY: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60)];

/// The keys of an issuer.
#[derive(Default)]
pub struct IssuerKeys {
    current: ArcSwapOption<Generation>,
    /// Whether a request is pending or in progress.
    is_pending: AtomicBool,
    wanted: Notify,
    /// When the last request began.
    last: Mutex<Option<Instant>>,
    /// The task that fetches them. It ends with the last policy that uses them.
    task: Mutex<Option<Task>>,
}

/// A task that ends when this is dropped.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The keys of one answer.
pub(super) struct Generation {
    pub(super) keys: KeySet,
    pub(super) number: u64,
}

/// The series of the requests.
#[derive(Clone)]
pub struct KeyMetrics(IntCounterVec);

impl KeyMetrics {
    /// Registers the series.
    ///
    /// # Errors
    ///
    /// If there is another one of that name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new(
            "sidekey_caller_keys_requests_total",
            "Requests for the public keys of an issuer of callers' tokens (`jwks_url`), by result (success, failure).",
        );
        let total = IntCounterVec::new(opts, &["url", "result"])?;
        registry.register(Box::new(total.clone()))?;
        Ok(Self(total))
    }
}

impl IssuerKeys {
    /// Keys that are in the configuration.
    pub fn fixed(json: &[u8]) -> Self {
        let keys = Self::default();
        // What cannot be used was reported when it was read; it verifies nothing.
        keys.set(KeySet::parse(json).unwrap_or_default());
        keys
    }

    /// Keys that `client` fetches, now and at intervals. Until then those of `before` are in use. Must be called in a runtime.
    pub fn fetched(client: JwksClient, metrics: KeyMetrics, before: Option<&Self>) -> Arc<Self> {
        let keys = Arc::new(Self { is_pending: AtomicBool::new(true), ..Self::default() });
        keys.current.store(before.and_then(|before| before.current.load_full()));
        let weak = Arc::downgrade(&keys);
        let task = tokio::spawn(async move {
            let mut failures = 0_usize;
            loop {
                let fetched = client.fetch().await;
                let is_success = fetched.is_ok();
                let result = if is_success { "success" } else { "failure" };
                metrics.0.with_label_values(&[client.url(), result]).inc();
                let Some(keys) = weak.upgrade() else { return };
                match fetched {
                    Ok(set) => {
                        if failures > 0 || keys.current.load().is_none() {
                            tracing::info!(caller_keys.url = client.url(), "caller keys fetched");
                        }
                        keys.set(set);
                        failures = 0;
                    }
                    Err(error) => {
                        // Once for a row of failures, and with every hour of them.
                        if failures.is_multiple_of(60) {
                            let in_use = keys.current.load().is_some();
                            tracing::warn!(
                                caller_keys.url = client.url(),
                                caller_keys.usable = in_use,
                                "caller keys cannot be fetched: {error}"
                            );
                        }
                        failures += 1;
                    }
                }
                *keys.last.lock() = Some(Instant::now());
                keys.is_pending.store(false, Ordering::Release);
                let pause = match failures {
                    0 => INTERVAL,
                    failures => RETRY[(failures - 1).min(RETRY.len() - 1)],
                };
                // So that the last policy can drop them meanwhile.
                let wanted = {
                    let keys = Arc::downgrade(&keys);
                    async move {
                        loop {
                            let Some(keys) = keys.upgrade() else { return };
                            if tokio::time::timeout(MIN_INTERVAL, keys.wanted.notified()).await.is_ok() {
                                return;
                            }
                        }
                    }
                };
                drop(keys);
                let _ = tokio::time::timeout(pause, wanted).await;
                let Some(keys) = weak.upgrade() else { return };
                keys.is_pending.store(true, Ordering::Release);
            }
        });
        *keys.task.lock() = Some(Task(task.abort_handle()));
        keys
    }

    fn set(&self, keys: KeySet) {
        let before = self.current.load_full();
        let number = match &before {
            // The tokens that they have verified stay known.
            Some(before) if before.keys == keys => return,
            Some(before) => before.number + 1,
            None => 1,
        };
        self.current.store(Some(Arc::new(Generation { keys, number })));
    }

    /// The current keys.
    pub(super) fn current(&self) -> Option<Arc<Generation>> {
        self.current.load_full()
    }

    /// Requests the keys, because one is not known; returns whether they are being fetched. They are not if that was done a moment ago.
    pub(super) fn request(&self) -> bool {
        if self.is_pending.load(Ordering::Acquire) {
            return true;
        }
        let mut last = self.last.lock();
        let is_due = self.task.lock().is_some() && last.is_none_or(|last| last.elapsed() >= MIN_INTERVAL);
        if is_due {
            *last = Some(Instant::now());
            self.is_pending.store(true, Ordering::Release);
            self.wanted.notify_one();
        }
        is_due
    }
}
