//! A value that is built from files, and rebuilt while the program is running if their content changes. The
//! module does not watch files: `reload` decides when they are read.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

/// A value built from the content of files: the newest that could be built.
pub struct Reloadable<T> {
    current: ArcSwap<T>,
    /// Keyed hash of the content from which the value was built; without the key it reveals nothing about the
    /// content.
    content_hash: Mutex<u64>,
    keys: RandomState,
}

/// The result of reading files whose content has changed, or that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// What the files are for, such as `listener 127.0.0.1:8443`; always the same for the same value.
    pub what: String,
    /// `Ok` if the value was rebuilt. On an error the value is unchanged; the message contains nothing of the
    /// files' content.
    pub result: Result<(), String>,
}

impl<T> Reloadable<T> {
    /// Builds the first value. `files` is their content.
    pub fn new<F: Hash, E>(files: Result<F, E>, make: impl FnOnce(&F) -> Result<T, E>) -> Result<Self, E> {
        let (files, keys) = (files?, RandomState::new());
        let content_hash = Mutex::new(keys.hash_one(&files));
        Ok(Self { current: ArcSwap::from_pointee(make(&files)?), content_hash, keys })
    }

    /// The newest value; the same `Arc` until the files change.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Rebuilds the value if the content of the files has changed; `None` if it has not. Files that cannot be
    /// used change nothing.
    pub fn reload<F: Hash, E: ToString>(
        &self,
        what: &str,
        files: Result<F, E>,
        make: impl FnOnce(&F) -> Result<T, E>,
    ) -> Option<Reloaded> {
        let mut current_hash = self.content_hash.lock();
        let value = files.and_then(|files| {
            let content = self.keys.hash_one(&files);
            if content == *current_hash { Ok(None) } else { make(&files).map(|value| Some((value, content))) }
        });
        let result = match value {
            Ok(None) => return None,
            Ok(Some((value, content))) => {
                self.current.store(Arc::new(value));
                *current_hash = content;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
        Some(Reloaded { what: what.to_owned(), result })
    }
}

/// Omits the value, which may hold a key.
impl<T> fmt::Debug for Reloadable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloadable").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &&str) -> Result<u32, String> {
        text.parse().map_err(|_| format!("{} characters and no number", text.len()))
    }

    #[test]
    fn reload_rebuilds_on_new_content_and_keeps_value_on_error() {
        assert_eq!(Reloadable::new(Ok("x"), number).err(), Some("1 characters and no number".into()));
        let one = Reloadable::new(Ok("1"), number).unwrap();
        let first = one.current();
        let reload = |files: Result<&'static str, &str>| {
            one.reload("it", files.map_err(str::to_owned), number).map(|reloaded| reloaded.result)
        };
        assert_eq!(reload(Ok("1")), None);
        assert_eq!(reload(Ok("abc")), Some(Err("3 characters and no number".into())));
        assert_eq!(reload(Err("gone")), Some(Err("gone".into())), "reported again by the next reload");
        assert_eq!(reload(Err("gone")), Some(Err("gone".into())));
        assert_eq!(reload(Ok("1")), None, "the files are as they were");
        assert!(Arc::ptr_eq(&first, &one.current()));
        assert_eq!(reload(Ok("2")), Some(Ok(())));
        assert_eq!((reload(Ok("2")), *one.current()), (None, 2));
        assert!(!format!("{one:?}").contains('2'));
    }
}
