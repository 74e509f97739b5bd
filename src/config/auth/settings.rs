//! What a service injects, as the configuration knows it: the settings of one kind of credential, and nothing
//! of what they mean.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::schema::Schema;
use crate::config::reader::table::Keys;

/// The settings of a credential, or of several in one request. Equal settings share what is made of them, over services and
/// over reloads.
#[derive(Clone)]
pub struct Auth {
    kind: &'static str,
    facts: Arc<AuthFacts>,
    is_shared: bool,
    settings: Arc<dyn Settings>,
}

/// What the configuration must know of a credential, whatever its kind.
#[derive(Debug, Clone, Default)]
pub struct AuthFacts {
    /// Whether there is a secret from before a rotation.
    pub has_previous: bool,
    /// Whether the credential is the same until the configuration changes, but for the secret from before a rotation.
    pub is_fixed: bool,
    /// Whether it signs what else is in the request.
    pub signs: bool,
    /// Whether it is valid for the host of its request only, so that another host cannot use it.
    pub is_for_host: bool,
    /// Why the processes of a fleet cannot share it; `None` if they can.
    pub unshareable: Option<&'static str>,
    /// The region of AWS that requests are signed for.
    pub region: Option<String>,
    /// The parts of a request that belong to it, in words.
    pub places: Vec<String>,
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

/// The kind of a list of credentials, in logs and in labels. No credential has this `type`.
const LIST: &str = "list";

/// The credentials of a list, in their order.
#[derive(Debug, PartialEq, Eq, Hash)]
struct List(Box<[Auth]>);

impl Auth {
    /// The settings of a kind.
    pub fn new<S: Any + fmt::Debug + Eq + Hash + Send + Sync>(
        kind: &'static str,
        settings: S,
        facts: AuthFacts,
    ) -> Self {
        Self { kind, facts: Arc::new(facts), is_shared: false, settings: Arc::new(settings) }
    }

    /// Several credentials in one request; that of a list of one is the credential itself.
    pub(super) fn list(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let facts = AuthFacts {
            has_previous: parts.iter().any(Self::has_previous),
            is_fixed: parts.iter().all(|part| part.facts.is_fixed),
            signs: parts.iter().any(|part| part.facts.signs),
            is_for_host: parts.iter().all(|part| part.facts.is_for_host),
            unshareable: match parts.iter().find(|part| part.facts.unshareable.is_none()) {
                Some(_) => None,
                None => parts.first().and_then(|part| part.facts.unshareable),
            },
            region: parts.iter().find_map(|part| part.facts.region.clone()),
            places: parts.iter().flat_map(|part| part.facts.places.iter().cloned()).collect(),
        };
        Self::new(LIST, List(parts.into()), facts)
    }

    /// The credentials of a list; the credential itself if it is none.
    pub fn parts(&self) -> &[Self] {
        self.settings.as_any().downcast_ref::<List>().map_or(std::slice::from_ref(self), |list| &list.0)
    }

    /// The same credential, shared by the processes of a fleet; of a list, those that can be shared.
    #[must_use]
    pub fn shared(self) -> Self {
        let parts = self.parts();
        if parts.len() == 1 {
            return Self { is_shared: true, ..self };
        }
        let is_shareable = |part: &Self| part.facts.unshareable.is_none();
        let shared = |part: &Self| if is_shareable(part) { part.clone().shared() } else { part.clone() };
        Self { is_shared: true, ..Self::list(parts.iter().map(shared).collect()) }
    }

    /// Whether the processes of a fleet share it.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The `type` in the configuration, in logs and in labels; `list` for several.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The `type` of every credential, for tables and pages.
    pub fn kinds(&self) -> String {
        self.parts().iter().map(Self::kind).collect::<Vec<_>>().join(" + ")
    }

    /// What the configuration must know of it.
    pub fn facts(&self) -> &AuthFacts {
        &self.facts
    }

    /// Whether there is a secret from before a rotation.
    pub fn has_previous(&self) -> bool {
        self.facts.has_previous
    }

    /// The settings, if they are of this type; of a list, the first ones.
    pub fn settings<S: Any>(&self) -> Option<&S> {
        self.all_settings().next()
    }

    /// The settings of every credential that has some of this type.
    pub fn all_settings<S: Any>(&self) -> impl Iterator<Item = &S> {
        self.parts().iter().filter_map(|part| part.settings.as_any().downcast_ref())
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl PartialEq for Auth {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.is_shared) == (other.kind, other.is_shared)
            && self.settings.is_equal(other.settings.as_any())
    }
}

impl Eq for Auth {}

impl Hash for Auth {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind, self.is_shared).hash(state);
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
