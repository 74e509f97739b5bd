//! What a service injects, as the configuration knows it: the settings of one kind of credential, and nothing
//! of what they mean.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::schema::Schema;
use crate::config::reader::table::Keys;

/// The settings of a credential. Equal settings share what is made of them, over services and over reloads.
#[derive(Clone)]
pub struct Auth {
    kind: &'static str,
    has_previous: bool,
    settings: Arc<dyn Settings>,
}

/// A kind of credential, as far as the configuration must know it.
#[derive(Clone, Copy)]
pub struct AuthKind {
    /// The value of `type`.
    pub name: &'static str,
    /// The keys beside `type`, so far as they are known before any of them is read.
    pub keys: Keys,
    /// Its part of the schema: a mapping with the keys beside `type`.
    pub schema: fn(&mut Schema) -> serde_json::Value,
    /// Reads the other keys of `auth`. Returns `None` only with an error on the report.
    pub read: fn(&mut Mapping<'_>) -> Option<Auth>,
}

/// All kinds of credentials.
pub type AuthKinds = &'static [AuthKind];

impl Auth {
    /// The settings of a kind.
    pub fn new<S: Any + fmt::Debug + Eq + Hash + Send + Sync>(kind: &'static str, settings: S) -> Self {
        Self { kind, has_previous: false, settings: Arc::new(settings) }
    }

    /// Says whether there is a secret from before a rotation.
    #[must_use]
    pub fn with_previous(self, has_previous: bool) -> Self {
        Self { has_previous, ..self }
    }

    /// The `type` in the configuration, in logs and in tables.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether there is a secret from before a rotation.
    pub fn has_previous(&self) -> bool {
        self.has_previous
    }

    /// The settings, if they are of this type.
    pub fn settings<S: Any>(&self) -> Option<&S> {
        self.settings.as_any().downcast_ref()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl PartialEq for Auth {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.settings.is_equal(other.settings.as_any())
    }
}

impl Eq for Auth {}

impl Hash for Auth {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.settings.hash_into(state);
    }
}

/// What [`Auth`] needs of settings whose type it does not know.
trait Settings: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn is_equal(&self, other: &dyn Any) -> bool;
    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<S: Any + fmt::Debug + Eq + Hash + Send + Sync> Settings for S {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_equal(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<S>() == Some(self)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
}
