//! A secret in a store, and one member of it. The members of one secret are read at once.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::members::member;
use crate::secret::{Fetched, SecretSource, SecretText, Source, SourceError, WatchHint};

/// A store of secrets, as far as its sources must know it.
pub(in crate::credential) trait SecretStore: Send + Sync + 'static {
    /// What names a secret in the store.
    type Id: Clone + Eq + Hash + fmt::Display + Send + Sync + 'static;
    /// The settings, by which connections are equal.
    type Settings: Eq + Hash;
    /// The key of the source in a secret, which is before the name of a secret in the log.
    const SOURCE: &'static str;
    /// The secret in a message about the configuration, without its name: in a configuration that was never in use, the name may be
    /// a secret in the wrong place.
    const PLACE: &'static str;

    /// The settings.
    fn settings(&self) -> &Self::Settings;

    /// The server in messages.
    fn who(&self) -> &str;

    /// Reads a secret now. Blocks, for a bounded time.
    fn read(self: &Arc<Self>, id: &Self::Id) -> Result<Fetched, SourceError>;
}

/// A secret as a whole.
pub(in crate::credential) struct StoredSecret<C: SecretStore> {
    /// The store that has it.
    pub(in crate::credential) store: Arc<C>,
    /// What names it there.
    pub(in crate::credential) id: C::Id,
    /// The time after which it is read again.
    pub(in crate::credential) refresh_interval: Duration,
}

/// One member of a secret that is a JSON object.
pub(in crate::credential) struct StoredMember<C: SecretStore> {
    /// The secret.
    pub(in crate::credential) secret: StoredSecret<C>,
    /// The name of the member, which is not shown: it may be a secret in the wrong place.
    pub(in crate::credential) name: String,
}

impl<C: SecretStore> SecretSource for StoredSecret<C> {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        // No store is called in a build of `cargo fuzz`.
        if cfg!(fuzzing) {
            return Err(SourceError::new("not in a fuzz target"));
        }
        self.store.read(&self.id)
    }

    fn watch(&self) -> WatchHint {
        WatchHint::Poll(self.refresh_interval)
    }
}

impl<C: SecretStore> SecretSource for StoredMember<C> {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        let fetched = self.secret.fetch()?;
        Ok(Fetched { value: self.part_of(&fetched.value)?, ..fetched })
    }

    fn watch(&self) -> WatchHint {
        self.secret.watch()
    }

    fn document(&self) -> Option<Source> {
        Some(Source::new(self.secret.clone()))
    }

    fn part_of(&self, document: &SecretText) -> Result<SecretText, SourceError> {
        member(document.expose(), &self.name).map_err(|error| {
            let who = self.secret.store.who();
            SourceError::new(format!("{who}: the secret was read, and `field` cannot be used: {error}"))
        })
    }
}

impl<C: SecretStore> Clone for StoredSecret<C> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), id: self.id.clone(), refresh_interval: self.refresh_interval }
    }
}

impl<C: SecretStore> PartialEq for StoredSecret<C> {
    fn eq(&self, other: &Self) -> bool {
        let is_same_store =
            Arc::ptr_eq(&self.store, &other.store) || self.store.settings() == other.store.settings();
        is_same_store && self.id == other.id && self.refresh_interval == other.refresh_interval
    }
}

impl<C: SecretStore> Eq for StoredSecret<C> {}

impl<C: SecretStore> Hash for StoredSecret<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.store.settings(), &self.id, self.refresh_interval).hash(state);
    }
}

impl<C: SecretStore> fmt::Debug for StoredSecret<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", C::SOURCE, self.id)
    }
}

impl<C: SecretStore> fmt::Display for StoredSecret<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(C::PLACE)
    }
}

impl<C: SecretStore> PartialEq for StoredMember<C> {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret && self.name == other.name
    }
}

impl<C: SecretStore> Eq for StoredMember<C> {}

impl<C: SecretStore> Hash for StoredMember<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.secret, &self.name).hash(state);
    }
}

impl<C: SecretStore> fmt::Debug for StoredMember<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.secret, f)
    }
}

impl<C: SecretStore> fmt::Display for StoredMember<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.secret, f)
    }
}
