//! A source that does what a test says.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::secret::{Fetched, SecretSource, SourceError, WatchHint};

/// What a source does.
pub(super) trait Behaviour: Send + Sync + 'static {
    fn fetch(&self) -> Result<Fetched, SourceError>;
    fn watch(&self) -> WatchHint;
}

/// A source with a behaviour, which the test goes on to change. It equals its clones alone.
#[derive(Default)]
pub(super) struct Scripted<S>(Arc<S>);

impl<S> Scripted<S> {
    pub(super) fn new(behaviour: S) -> Self {
        Self(Arc::new(behaviour))
    }
}

impl<S> Clone for Scripted<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Deref for Scripted<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: Behaviour> SecretSource for Scripted<S> {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        self.0.fetch()
    }

    fn watch(&self) -> WatchHint {
        self.0.watch()
    }
}

impl<S> PartialEq for Scripted<S> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<S> Eq for Scripted<S> {}

impl<S> Hash for Scripted<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl<S> fmt::Debug for Scripted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted")
    }
}

impl<S> fmt::Display for Scripted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script")
    }
}
