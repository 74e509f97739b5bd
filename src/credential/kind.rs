//! What a kind of credential implements, and the registry's entry for it.

use std::any::Any;
use std::error::Error;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::{Rotating, Signer};
use crate::config::reader::value::Mapping;
use crate::config::{Auth, AuthKind};
use crate::metrics::SharedTokenMetrics;
use crate::net::dns::Resolver;
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::otel::CurrentTracer;
use crate::refresh::{Expiring, Source, Store, refresher};
use crate::tls::client::TlsClients;

/// A kind of credential: one file in `kinds/` and one line in [`KINDS`](super::KINDS).
pub trait Kind: 'static {
    /// The value of `type`; also a label, a span attribute and a word in tables.
    const NAME: &'static str;
    /// The authentication scheme that requests are signed with, if it is a registered one.
    const SCHEME: Option<&'static str> = None;
    /// What `sidekey test` suggests after a 401.
    const SUGGESTIONS_401: &'static [&'static str] = &[];
    /// The settings as read. Equal settings share what is made of them, over services and over reloads. `Debug` shows no secret.
    type Settings: Debug + Eq + Hash + Send + Sync + 'static;

    /// Reads the settings. Returns `None` only with an error on the report.
    fn read(mapping: &mut Mapping<'_>) -> Option<Self::Settings>;

    /// Whether there is a secret from before a rotation.
    fn has_previous(settings: &Self::Settings) -> bool {
        let _ = settings;
        false
    }

    /// Makes what keeps a value fresh, if this kind has a value that expires. `reuse` is the store of settings whose value is
    /// kept ([`Kind::keeps_value`]).
    fn refresh(
        settings: &Self::Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        let _ = (settings, context, reuse);
        Ok(None)
    }

    /// Whether a value obtained with `old` settings stays in use until the first one with `new` settings is there.
    fn keeps_value(old: &Self::Settings, new: &Self::Settings) -> bool {
        let _ = (old, new);
        false
    }

    /// Makes what signs requests. Whatever can fail has failed before.
    fn build(settings: &Self::Settings, build: &Build<'_>) -> Box<dyn Signer>;
}

/// Why a credential cannot be built, although its configuration is valid.
pub type BuildError = Box<dyn Error + Send + Sync>;

/// A [`Store`] of some type of value.
pub type StoreHandle = Arc<dyn Any + Send + Sync>;

/// What a signer is built with.
pub struct Build<'a> {
    /// The name of the service.
    pub service: &'a str,
    /// The store that a refresher keeps fresh, if the kind has one.
    pub store: Option<&'a StoreHandle>,
}

impl Build<'_> {
    /// The store of the value that expires.
    ///
    /// # Panics
    ///
    /// If [`Kind::refresh`] gave none, or one for another type of value.
    pub fn store<T: Expiring>(&self) -> Arc<Store<T>> {
        let store = self.store.cloned().and_then(|store| store.downcast().ok());
        store.expect("a kind that asks for a store has given one of the same type")
    }
}

/// What sources are made with.
pub struct SourceContext<'a> {
    /// The services that share the value, for the log.
    pub services: &'a [&'a str],
    /// TLS configurations toward servers.
    pub tls: &'a TlsClients,
    /// Names to addresses.
    pub resolver: &'a Resolver,
    /// Rotated refresh tokens.
    pub refresh_tokens: &'a Arc<RefreshTokenRegistry>,
    /// Metrics of token requests.
    pub users: &'a SharedTokenMetrics,
    /// Traces of token requests.
    pub traces: &'a Arc<CurrentTracer>,
}

/// A store, and the refresher that keeps it fresh once it is started.
pub struct Refresh {
    /// The store.
    pub store: StoreHandle,
    start: Box<dyn FnOnce(String) -> AbortHandle + Send>,
}

impl Refresh {
    /// A refresher that fills `store` from `source`.
    pub fn new<T: Expiring>(source: Arc<dyn Source<T>>, store: Arc<Store<T>>) -> Self {
        let handle: StoreHandle = store.clone();
        let start = move |services| tokio::spawn(refresher::run(services, source, store)).abort_handle();
        Self { store: handle, start: Box::new(start) }
    }

    /// Starts the refresher for services of these names.
    pub fn start(self, services: String) -> AbortHandle {
        (self.start)(services)
    }
}

/// [`Kind::refresh`], for settings of a type that is not known.
pub(super) type RefreshFn =
    fn(&Auth, &SourceContext<'_>, Option<StoreHandle>) -> Result<Option<Refresh>, BuildError>;

/// A kind in the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// What the configuration knows of it.
    pub auth: AuthKind,
    /// [`Kind::SCHEME`].
    pub scheme: Option<&'static str>,
    /// [`Kind::SUGGESTIONS_401`].
    pub suggestions_401: &'static [&'static str],
    pub(super) refresh: RefreshFn,
    pub(super) keeps_value: fn(&Auth, &Auth) -> bool,
    pub(super) build: fn(&Auth, &Build<'_>) -> Box<dyn Signer>,
}

impl Entry {
    /// The entry of a kind.
    pub const fn of<K: Kind>() -> Self {
        Self {
            auth: AuthKind { name: K::NAME, read: read::<K> },
            scheme: K::SCHEME,
            suggestions_401: K::SUGGESTIONS_401,
            refresh: |auth, context, reuse| K::refresh(settings::<K>(auth), context, reuse),
            keeps_value: |old, new| match (old.settings(), new.settings()) {
                (Some(old), Some(new)) => K::keeps_value(old, new),
                _ => false,
            },
            build: |auth, build| K::build(settings::<K>(auth), build),
        }
    }
}

fn read<K: Kind>(mapping: &mut Mapping<'_>) -> Option<Auth> {
    let settings = K::read(mapping)?;
    let has_previous = K::has_previous(&settings);
    Some(Auth::new(K::NAME, settings).with_previous(has_previous))
}

fn settings<K: Kind>(auth: &Auth) -> &K::Settings {
    auth.settings().expect("an entry is found by the name of its kind")
}

/// A credential, with the one before a rotation if there is one.
pub fn with_previous<S: Signer + 'static>(build: &Build<'_>, new: S, previous: Option<S>) -> Box<dyn Signer> {
    match previous {
        None => Box::new(new),
        Some(previous) => Box::new(Rotating::new(build.service, Box::new(new), Box::new(previous))),
    }
}
