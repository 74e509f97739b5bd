//! What files gave, so that a file that has not changed is not read again.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::secret::{SecretText, Source, Stamp};

/// The last value of sources that read a file, for as long as the file has the same stamp.
#[derive(Default)]
pub(super) struct OfFiles(Mutex<HashMap<Source, OfFile>>);

struct OfFile {
    /// The stamp that the file had before it was read.
    stamp: Stamp,
    value: SecretText,
    /// Whether it was used since the last [`OfFiles::mark_unused`].
    used: bool,
}

impl OfFiles {
    /// What a source gave when its file had this stamp.
    pub(super) fn get(&self, source: &Source, stamp: Stamp) -> Option<SecretText> {
        let mut known = self.0.lock();
        let known = known.get_mut(source).filter(|known| known.stamp == stamp)?;
        known.used = true;
        Some(known.value.clone())
    }

    /// Keeps what a source gave, and the stamp that its file had before.
    pub(super) fn keep(&self, source: &Source, stamp: Stamp, value: SecretText) {
        self.0.lock().insert(source.clone(), OfFile { stamp, value, used: true });
    }

    /// Begins a reading of the configuration.
    pub(super) fn mark_unused(&self) {
        self.0.lock().values_mut().for_each(|known| known.used = false);
    }

    /// Removes what was not used since then.
    pub(super) fn evict_unused(&self) {
        self.0.lock().retain(|_, known| known.used);
    }

    /// Removes everything.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use zeroize::Zeroizing;

    use super::*;
    use crate::secret::{Plain, Stamps};

    #[test]
    fn value_is_kept_for_one_stamp_and_while_it_is_used() {
        let text = |text: &str| SecretText::verbatim(Zeroizing::new(text.to_owned()));
        let stamp = |name| Stamps::default().of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let (one, other) = (stamp("Cargo.toml"), stamp("Cargo.lock"));
        let (files, source) = (OfFiles::default(), Source::new(Plain(text("source"))));
        assert!(files.get(&source, one).is_none());
        files.keep(&source, one, text("value"));
        assert!(files.get(&source, one) == Some(text("value")) && files.get(&source, other).is_none());
        files.mark_unused();
        assert!(files.get(&source, one).is_some());
        files.evict_unused();
        assert!(files.get(&source, one).is_some(), "it was used");
        files.mark_unused();
        files.evict_unused();
        assert!(files.get(&source, one).is_none());
    }
}
