//! What is made of files and made again, under the running program, when they hold something else. Nothing here looks at
//! files by itself: `reload` says when.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

/// A value made of what files hold, the newest that could be made.
pub struct Reloadable<T> {
    current: ArcSwap<T>,
    /// Fingerprint of the content that it is made of; with keys of its own, so that it says nothing of the content.
    content_hash: Mutex<u64>,
    keys: RandomState,
}

/// What a look at files came to that do not hold what they did, or that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// What the files are for, such as `listener 127.0.0.1:8443`; the same at every look.
    pub what: String,
    /// It was made again, or what is wrong, without anything of the files' content; the value stays as it was then.
    pub result: Result<(), String>,
}

impl<T> Reloadable<T> {
    /// The first one. `files` is what they hold.
    pub fn new<F: Hash, E>(files: Result<F, E>, make: impl FnOnce(&F) -> Result<T, E>) -> Result<Self, E> {
        let (files, keys) = (files?, RandomState::new());
        let content_hash = Mutex::new(keys.hash_one(&files));
        Ok(Self { current: ArcSwap::from_pointee(make(&files)?), content_hash, keys })
    }

    /// The newest; the same `Arc` as long as the files hold the same.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Makes it again where the files hold something else; `None` where they do not. What cannot be used changes nothing.
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

/// Without the value, which may hold a key.
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
    fn is_made_again_for_other_content_and_kept_where_that_cannot_be_used() {
        assert_eq!(Reloadable::new(Ok("x"), number).err(), Some("1 characters and no number".into()));
        let one = Reloadable::new(Ok("1"), number).unwrap();
        let first = one.current();
        let reload = |files: Result<&'static str, &str>| {
            one.reload("it", files.map_err(str::to_owned), number).map(|reloaded| reloaded.result)
        };
        assert_eq!(reload(Ok("1")), None);
        assert_eq!(reload(Ok("abc")), Some(Err("3 characters and no number".into())));
        assert_eq!(reload(Err("gone")), Some(Err("gone".into())), "and is not forgotten at the next look");
        assert_eq!(reload(Err("gone")), Some(Err("gone".into())));
        assert_eq!(reload(Ok("1")), None, "as it was");
        assert!(Arc::ptr_eq(&first, &one.current()));
        assert_eq!(reload(Ok("2")), Some(Ok(())));
        assert_eq!((reload(Ok("2")), *one.current()), (None, 2));
        assert!(!format!("{one:?}").contains('2'));
    }
}
