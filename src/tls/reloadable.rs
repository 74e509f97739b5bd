//! What is made of files and made again, under the running program, when they hold something else. Nothing here looks at
//! files by itself: `reload` says when.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

/// A value made of what files hold, the newest that could be made.
pub struct Renewable<T> {
    current: ArcSwap<T>,
    /// Fingerprint of the content that it is made of; with keys of its own, so that it says nothing of the content.
    used: Mutex<u64>,
    keys: RandomState,
}

/// What a look at files came to that do not hold what they did, or that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// What the files are for, such as `listener 127.0.0.1:8443`; the same at every look.
    pub of: String,
    /// It was made again, or what is wrong, without anything of the files' content; the value stays as it was then.
    pub outcome: Result<(), String>,
}

impl<T> Renewable<T> {
    /// The first one. `files` is what they hold.
    pub fn new<F: Hash, E>(files: Result<F, E>, make: impl FnOnce(&F) -> Result<T, E>) -> Result<Self, E> {
        let (files, keys) = (files?, RandomState::new());
        let used = Mutex::new(keys.hash_one(&files));
        Ok(Self { current: ArcSwap::from_pointee(make(&files)?), used, keys })
    }

    /// The newest; the same `Arc` as long as the files hold the same.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Makes it again where the files hold something else; `None` where they do not. What cannot be used changes nothing.
    pub fn renew<F: Hash, E: ToString>(
        &self,
        of: &str,
        files: Result<F, E>,
        make: impl FnOnce(&F) -> Result<T, E>,
    ) -> Option<Renewal> {
        let mut used = self.used.lock();
        let value = files.and_then(|files| {
            let content = self.keys.hash_one(&files);
            if content == *used { Ok(None) } else { make(&files).map(|value| Some((value, content))) }
        });
        let outcome = match value {
            Ok(None) => return None,
            Ok(Some((value, content))) => {
                self.current.store(Arc::new(value));
                *used = content;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
        Some(Renewal { of: of.to_owned(), outcome })
    }
}

/// Without the value, which may hold a key.
impl<T> fmt::Debug for Renewable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewable").finish_non_exhaustive()
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
        assert_eq!(Renewable::new(Ok("x"), number).err(), Some("1 characters and no number".into()));
        let one = Renewable::new(Ok("1"), number).unwrap();
        let first = one.current();
        let renew = |files: Result<&'static str, &str>| {
            one.renew("it", files.map_err(str::to_owned), number).map(|renewal| renewal.outcome)
        };
        assert_eq!(renew(Ok("1")), None);
        assert_eq!(renew(Ok("abc")), Some(Err("3 characters and no number".into())));
        assert_eq!(renew(Err("gone")), Some(Err("gone".into())), "and is not forgotten at the next look");
        assert_eq!(renew(Err("gone")), Some(Err("gone".into())));
        assert_eq!(renew(Ok("1")), None, "as it was");
        assert!(Arc::ptr_eq(&first, &one.current()));
        assert_eq!(renew(Ok("2")), Some(Ok(())));
        assert_eq!((renew(Ok("2")), *one.current()), (None, 2));
        assert!(!format!("{one:?}").contains('2'));
    }
}
