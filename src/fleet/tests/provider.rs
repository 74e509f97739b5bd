//! A provider that rotates refresh tokens, and ends the grant if one is spent twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::fleet::{Obtained, Requester};
use crate::refresh::{ClockReading, ErrorCode, Expiry, SourceError, SourceErrorKind};

/// The provider.
pub(super) struct Provider {
    pub(super) lifetime: Duration,
    /// How long a spent refresh token is accepted again.
    pub(super) grace: Duration,
    /// The longest time until an answer.
    pub(super) slowest: Mutex<Duration>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Number of tokens issued.
    pub(super) issued: u64,
    /// When each refresh token was spent, by its number.
    spent: Vec<Option<Instant>>,
    /// Refresh tokens that ended the grant.
    pub(super) reused: Vec<u64>,
    /// When each request came.
    pub(super) requests: Vec<Instant>,
    /// The answer to every request.
    pub(super) refusal: Option<SourceError>,
}

/// A process's way to the provider.
pub(super) struct Client {
    pub(super) provider: Arc<Provider>,
    pub(super) is_dead: AtomicBool,
}

impl Provider {
    pub(super) fn new(lifetime: Duration, grace: Duration) -> Arc<Self> {
        let slowest = Mutex::new(Duration::from_millis(500));
        Arc::new(Self { lifetime, grace, slowest, state: Mutex::default() })
    }

    pub(super) fn requests(&self) -> usize {
        self.state.lock().requests.len()
    }

    pub(super) fn reused(&self) -> Vec<u64> {
        self.state.lock().reused.clone()
    }

    fn delay(&self) -> Duration {
        self.slowest.lock().mul_f64(fastrand::f64())
    }

    /// Spends a refresh token: the first one has the number 0. Returns the number of the next one.
    fn spend(&self, token: u64) -> Result<u64, SourceError> {
        let mut state = self.state.lock();
        let now = Instant::now();
        state.requests.push(now);
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        let at = usize::try_from(token).expect("a small number");
        if state.spent.len() <= at {
            state.spent.resize(at + 1, None);
        }
        match state.spent[at] {
            Some(spent) if spent.elapsed() >= self.grace => state.reused.push(token),
            Some(_) => {}
            None => state.spent[at] = Some(now),
        }
        if !state.reused.is_empty() {
            return Err(SourceError {
                code: Some(ErrorCode::InvalidGrant),
                status: Some(400),
                ..SourceError::new(SourceErrorKind::Refused, "invalid_grant")
            });
        }
        state.issued += 1;
        Ok(state.issued)
    }
}

#[async_trait]
impl Requester for Client {
    async fn request(&self, current: Option<&[u8]>) -> Result<Obtained, SourceError> {
        let text = current.map(|current| std::str::from_utf8(current).expect("text"));
        let token = text.map_or(0, |text| text.parse().expect("the number of a refresh token"));
        tokio::time::sleep(self.provider.delay() / 4).await;
        if self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let sent = ClockReading::now();
        let outcome = self.provider.spend(token);
        tokio::time::sleep(self.provider.delay()).await;
        if self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let expiry = Some(Expiry::after(sent, self.provider.lifetime));
        Ok(Obtained { content: Zeroizing::new(outcome?.to_string().into_bytes()), expiry, failure: None })
    }
}
