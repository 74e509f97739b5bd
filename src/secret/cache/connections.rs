//! The connections to stores of secrets: what is kept between two fetches, such as a login.

use std::any::Any;
use std::sync::Arc;

use parking_lot::Mutex;

/// A connection to a store: a server that secrets are read from. Sources of the same store share it.
pub trait StoreConnection: Any + Send + Sync {
    /// Ends what the store keeps for it, such as a login. Blocks for a short, bounded time; a failure has no effect.
    fn close(&self);
}

/// Connections, each as long as a source has it.
#[derive(Default)]
pub(super) struct Connections(Mutex<Vec<Arc<dyn StoreConnection>>>);

impl Connections {
    /// The connection that has these settings, if there is one.
    pub(super) fn find<C: StoreConnection>(&self, is_it: impl Fn(&C) -> bool) -> Option<Arc<C>> {
        let typed = |connection: &Arc<dyn StoreConnection>| {
            let any: Arc<dyn Any + Send + Sync> = connection.clone();
            any.downcast::<C>().ok()
        };
        self.0.lock().iter().filter_map(typed).find(|connection| is_it(connection))
    }

    /// Adds a connection.
    pub(super) fn add(&self, connection: Arc<dyn StoreConnection>) {
        self.0.lock().push(connection);
    }

    /// Closes those that nothing else has.
    pub(super) fn close_unused(&self) {
        let unused: Vec<_> = self.0.lock().extract_if(.., |one| Arc::strong_count(one) == 1).collect();
        for connection in unused {
            connection.close();
        }
    }

    /// Closes all of them.
    pub(super) fn close(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        for connection in all {
            connection.close();
        }
    }
}
