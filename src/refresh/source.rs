//! What a value is obtained from.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::SourceError;
use super::risk::Risk;
use super::server::SourceServer;
use super::sharing::Sharing;

/// Why a value is obtained now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It is due, or has expired.
    Due,
    /// [`Source::changed`] has returned.
    Changed,
    /// The upstream has rejected the current value.
    Rejected,
    /// An operator requested it.
    Requested,
    /// What the value is obtained with has changed.
    InputChanged,
}

/// Obtains a value that expires. One refresher uses it, and makes one call at a time.
#[async_trait]
pub trait Source<T>: Send + Sync {
    /// Obtains a new value. The source itself limits how long that takes.
    async fn fetch(&self) -> Result<T, SourceError>;

    /// As [`Source::fetch`], for this cause. A source that asks nobody but its server does not need to know it.
    async fn fetch_for(&self, cause: Cause) -> Result<T, SourceError> {
        let _ = cause;
        self.fetch().await
    }

    /// Waits until something that the value is obtained with has changed, such as a login: the value is then
    /// refreshed at once. May be dropped and called again.
    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    /// What may make the next value unobtainable, if the source knows of anything that can.
    fn risk(&self) -> Option<Arc<Risk>> {
        None
    }

    /// What the source has learnt of the server that it asks, if it asks one.
    fn server(&self) -> Option<Arc<SourceServer>> {
        None
    }

    /// What is known of the others that share the value, if it is shared.
    fn sharing(&self) -> Option<Arc<Sharing>> {
        None
    }
}

#[async_trait]
impl<T: Send + 'static, S: Source<T> + ?Sized> Source<T> for Arc<S> {
    async fn fetch(&self) -> Result<T, SourceError> {
        (**self).fetch().await
    }

    async fn fetch_for(&self, cause: Cause) -> Result<T, SourceError> {
        (**self).fetch_for(cause).await
    }

    async fn changed(&self) {
        (**self).changed().await;
    }

    fn risk(&self) -> Option<Arc<Risk>> {
        (**self).risk()
    }

    fn server(&self) -> Option<Arc<SourceServer>> {
        (**self).server()
    }

    fn sharing(&self) -> Option<Arc<Sharing>> {
        (**self).sharing()
    }
}
