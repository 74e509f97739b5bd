//! A store, whatever its value is.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::expiry::{Expiring, Expiry};
use super::server::ServerFacts;
use super::sharing::SharingFacts;
use super::status::RefreshStatus;
use super::store::{RefreshDecision, RefreshReason, Store};

/// A [`Store`] whose type of value does not matter: what readiness, metrics and the status page read, and what an
/// operator requests.
pub trait AnyStore: Send + Sync {
    /// As [`Store::status`].
    fn status(&self) -> RefreshStatus;
    /// As [`Store::expiry`].
    fn expiry(&self) -> Option<Expiry>;
    /// As [`Store::server`].
    fn server(&self) -> ServerFacts;
    /// As [`Store::risk`].
    fn risk(&self) -> Option<String>;
    /// As [`Store::is_at_risk`].
    fn is_at_risk(&self) -> Option<bool>;
    /// As [`Store::sharing`].
    fn sharing(&self) -> Option<SharingFacts>;
    /// As [`Store::min_interval`].
    fn min_interval(&self) -> Duration;
    /// Requests a new value for an operator, and waits for it, `limit` at most.
    fn request(&self, limit: Duration) -> BoxFuture<'_, Requested>;
    /// As [`Store::wait_until`].
    fn wait_until<'a>(&'a self, is_done: &'a (dyn Fn() -> bool + Sync)) -> BoxFuture<'a, ()>;
}

/// The outcome of [`AnyStore::request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    /// There is a new value.
    New,
    /// There is none, or not yet.
    Failed,
    /// It was not requested: the last one was requested a moment ago.
    Throttled,
}

impl<T: Expiring> AnyStore for Store<T> {
    fn status(&self) -> RefreshStatus {
        self.status()
    }

    fn expiry(&self) -> Option<Expiry> {
        self.expiry()
    }

    fn server(&self) -> ServerFacts {
        self.server()
    }

    fn risk(&self) -> Option<String> {
        self.risk()
    }

    fn is_at_risk(&self) -> Option<bool> {
        self.is_at_risk()
    }

    fn sharing(&self) -> Option<SharingFacts> {
        self.sharing()
    }

    fn min_interval(&self) -> Duration {
        self.min_interval()
    }

    fn request(&self, limit: Duration) -> BoxFuture<'_, Requested> {
        let decision = self.refresh_now(RefreshReason::Requested);
        Box::pin(async move {
            match decision {
                RefreshDecision::Pending(attempt) if self.wait_for(attempt, limit).await => Requested::New,
                RefreshDecision::Pending(_) => Requested::Failed,
                RefreshDecision::AlreadyNewer | RefreshDecision::Throttled => Requested::Throttled,
            }
        })
    }

    fn wait_until<'a>(&'a self, is_done: &'a (dyn Fn() -> bool + Sync)) -> BoxFuture<'a, ()> {
        Box::pin(self.wait_until(is_done))
    }
}
