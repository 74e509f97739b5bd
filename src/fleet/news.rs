//! News: that another process has written a record.

use std::sync::Arc;
use std::sync::Weak;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::names::Names;

/// Who waits for news of which record.
#[derive(Default)]
pub(super) struct NewsRoom(Mutex<Vec<(Names, Weak<watch::Sender<u64>>)>>);

/// The news of one record: a number that grows with each.
pub(super) struct News(Arc<watch::Sender<u64>>);

impl NewsRoom {
    /// News of a record from now on.
    pub(super) fn subscribe(&self, names: &Names) -> News {
        let sender = Arc::new(watch::Sender::new(0));
        let mut all = self.0.lock();
        all.retain(|(_, sender)| sender.strong_count() > 0);
        all.push((names.clone(), Arc::downgrade(&sender)));
        News(sender)
    }

    /// The record of this name was written.
    pub(super) fn about(&self, name: &str) {
        self.tell(|names| names.contains(name));
    }

    /// Any record may have been written: nothing was heard for a while.
    pub(super) fn about_all(&self) {
        self.tell(|_| true);
    }

    fn tell(&self, is_meant: impl Fn(&Names) -> bool) {
        for (names, sender) in self.0.lock().iter() {
            if let Some(sender) = sender.upgrade().filter(|_| is_meant(names)) {
                sender.send_modify(|count| *count += 1);
            }
        }
    }
}

impl News {
    /// What comes from now on.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
