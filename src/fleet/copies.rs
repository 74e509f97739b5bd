//! What a value has to do with its second copy.

use super::known::{Known, Local};
use super::record::Record;
use super::second_copy::SecondCopy;
use super::shared::{Shared, random_name};

impl Shared {
    fn copy(&self) -> Option<&dyn SecondCopy> {
        self.copy.get().map(|copy| &**copy)
    }

    /// Reads the second copy, once.
    pub(super) async fn read_copy(&self, local: &mut Local) {
        let Some(copy) = self.copy().filter(|_| !local.copy.is_read) else { return };
        let loaded = copy.load().await;
        local.copy.is_read = loaded.is_ok();
        match loaded {
            Ok(Some((generation, content))) if local.known.is_none() => {
                let record = Record {
                    generation,
                    write: random_name(),
                    by: self.process.to_string(),
                    ends: None,
                    lifetime: 0,
                    took: 0,
                    forced: None,
                    content,
                };
                local.copy.saved = Some(record.write.clone());
                local.known = Some(Known { record, expiry: None, is_alone: false });
                local.copy.unread = None;
            }
            Ok(_) => local.copy.unread = None,
            Err(error) => {
                if local.copy.unread.is_none() {
                    tracing::error!(
                        fleet.record = self.names.shown(),
                        "copy of a refresh token not read: {error}. The one in the shared store is used"
                    );
                }
                local.copy.unread = Some(error);
            }
        }
    }

    /// Keeps the value at hand beside the store, if it has changed.
    pub(super) async fn save_copy(&self, local: &mut Local) {
        let (Some(copy), Some(known)) = (self.copy(), &local.known) else { return };
        if !self.rules.rotates || local.copy.saved.as_ref() == Some(&known.record.write) {
            return;
        }
        match copy.save(known.record.generation, &known.record.content).await {
            Ok(()) => {
                local.copy.saved = Some(known.record.write.clone());
                local.copy.is_failing = false;
            }
            Err(error) if !local.copy.is_failing => {
                local.copy.is_failing = true;
                tracing::warn!(
                    fleet.record = self.names.shown(),
                    "copy of a refresh token not written: {error}. The shared store has it"
                );
            }
            Err(_) => {}
        }
    }
}
