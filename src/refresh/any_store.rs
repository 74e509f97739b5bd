//! A store, whatever its value is.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::expiry::{Expiring, Expiry};
use super::server::ServerFacts;
use super::status::RefreshStatus;
use super::store::{Attempt, RefreshDecision, RefreshReason, Store};

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
    /// As [`Store::min_interval`].
    fn min_interval(&self) -> Duration;
    /// As [`Store::refresh_now`].
    fn refresh_now(&self, reason: RefreshReason) -> RefreshDecision;
    /// As [`Store::wait_for`].
    fn wait_for(&self, attempt: Attempt, limit: Duration) -> BoxFuture<'_, bool>;
    /// As [`Store::wait_until`].
    fn wait_until<'a>(&'a self, is_done: &'a (dyn Fn() -> bool + Sync)) -> BoxFuture<'a, ()>;
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

    fn min_interval(&self) -> Duration {
        self.min_interval()
    }

    fn refresh_now(&self, reason: RefreshReason) -> RefreshDecision {
        self.refresh_now(reason)
    }

    fn wait_for(&self, attempt: Attempt, limit: Duration) -> BoxFuture<'_, bool> {
        Box::pin(self.wait_for(attempt, limit))
    }

    fn wait_until<'a>(&'a self, is_done: &'a (dyn Fn() -> bool + Sync)) -> BoxFuture<'a, ()> {
        Box::pin(self.wait_until(is_done))
    }
}
