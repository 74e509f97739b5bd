//! The trait that a kind of credential implements, and its entry in the registry.

use std::any::Any;
use std::error::Error;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::{Logouts, Owned, Rejection, Rotating, Signer};
use crate::config::reader::mapping::Mapping;
use crate::config::reader::schema::Schema;
use crate::config::reader::table::Keys;
use crate::config::{Auth, AuthFacts, AuthKind, ValueServer};
use crate::fleet::{Fleet, Rules, Shared, TracedValue};
use crate::metrics::SharedTokenMetrics;
use crate::net::dns::Resolver;
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::oauth2::{SharedTokens, TokenRequestTurns, TokenSource};
use crate::otel::CurrentTracer;
use crate::refresh::{Expiring, Source, SourceError, Store, refresher};
use crate::tls::client::TlsClients;

/// A kind of credential: one file in `kinds/` and one line in [`KINDS`](super::KINDS).
pub trait Kind: 'static {
    /// The value of `type`; also a label, a span attribute and a word in tables.
    const NAME: &'static str;
    /// The keys beside `type`, with what the schema says of them.
    const KEYS: Keys;
    /// The statuses with which upstreams reject a credential of this kind.
    const REJECTED_WITH: &'static [u16] = &[401];
    /// Whether the credential is the same until the configuration changes, but for a previous secret.
    const IS_FIXED: bool = false;
    /// Whether it signs what else is in the request.
    const SIGNS: bool = false;
    /// Whether every request is signed for its host, and nothing that is sent is of use to another host.
    const IS_FOR_HOST: bool = false;
    /// Whether the credential is what this machine or its platform has, without any secret of the configuration. Nobody chooses
    /// one through the admin API.
    const IS_OF_PLATFORM: bool = false;
    /// What errors of upstreams mean, for `sidekey test`.
    const UPSTREAM_ERRORS: UpstreamErrors = &[];
    /// The settings as read. Services with equal settings share what is built from them, also over a reload.
    /// `Debug` shows no secret.
    type Settings: Debug + Eq + Hash + Send + Sync + 'static;

    /// Reads the settings. Returns `None` only with an error on the report.
    fn read(mapping: &mut Mapping<'_>) -> Option<Self::Settings>;

    /// Makes the kind's part of the schema: a mapping with [`Self::KEYS`], and whatever a table cannot say of them.
    fn schema(schema: &mut Schema) -> serde_json::Value {
        schema.mapping(&[Self::KEYS])
    }

    /// Whether there is a previous secret.
    fn has_previous(settings: &Self::Settings) -> bool {
        let _ = settings;
        false
    }

    /// The parts of a request that belong to the credential, as [`Signer::owned`] says.
    fn owned(settings: &Self::Settings) -> Owned;

    /// Why the processes of a fleet cannot share the value; `None` if they can, and [`Kind::refresh`] uses
    /// `SourceContext::shared`.
    fn unshareable(settings: &Self::Settings) -> Option<&'static str> {
        let _ = settings;
        Some(
            "a fleet shares what is requested for an identity that all processes have: tokens, and keys of a role of AWS",
        )
    }

    /// Builds the store and the refresher of a value that expires; `None` if the kind has no such value.
    /// `reuse` is the store of settings whose value is kept ([`Kind::keeps_value`]).
    fn refresh(
        settings: &Self::Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        let _ = (settings, context, reuse);
        Ok(None)
    }

    /// Whether a value obtained with `old` settings stays in use until there is one with `new` settings.
    fn keeps_value(old: &Self::Settings, new: &Self::Settings) -> bool {
        let _ = (old, new);
        false
    }

    /// Builds the signer. It cannot fail: `read` and `refresh` have checked the settings.
    fn build(settings: &Self::Settings, build: &Build<'_>) -> Box<dyn Signer>;

    /// The region of AWS that requests are signed for, if it is one.
    fn region(settings: &Self::Settings) -> Option<String> {
        let _ = settings;
        None
    }

    /// The server that gives the value that expires, as a URL or in words, for pages.
    fn value_server(settings: &Self::Settings) -> Option<String> {
        let _ = settings;
        None
    }

    /// Every server that requests for the value go to, for `check --online`. Those of [`OAuth2`](crate::config::OAuth2) settings are
    /// known without it.
    fn servers(settings: &Self::Settings) -> Vec<ValueServer> {
        let _ = settings;
        Vec::new()
    }

    /// Explains why there is no value, to the operator: what to look at and what to change, most likely first.
    fn explain_failure(settings: &Self::Settings, error: &SourceError) -> Vec<String> {
        let _ = (settings, error);
        Vec::new()
    }

    /// Explains a 401, or another status of [`Self::REJECTED_WITH`], to the operator, for `sidekey test`: what to look at and what to change, most likely first. No sentence
    /// has a value of the settings.
    fn explain_401(settings: &Self::Settings, rejection: &Rejection<'_>) -> Vec<String>;
}

/// Texts of errors in responses of upstreams, each with what it means and what to change. A text is a code, or words that only
/// this error has. It is shown as it stands here, and never as it was received.
pub type UpstreamErrors = &'static [(&'static str, &'static str)];

/// Why a credential cannot be built, although its configuration is valid.
pub type BuildError = Box<dyn Error + Send + Sync>;

/// A [`Store`] whose type of value is erased.
pub type StoreHandle = Arc<dyn Any + Send + Sync>;

/// The inputs for building a signer.
pub struct Build<'a> {
    /// The name of the service.
    pub service: &'a str,
    /// The store that a refresher fills, if the kind has one.
    pub store: Option<&'a StoreHandle>,
}

impl Build<'_> {
    /// The store of the value that expires.
    ///
    /// # Panics
    ///
    /// If [`Kind::refresh`] returned no store, or one for another type of value.
    pub fn store<T: Expiring>(&self) -> Arc<Store<T>> {
        self.shared()
    }

    /// What [`Kind::refresh`] returned.
    ///
    /// # Panics
    ///
    /// If it returned nothing, or something of another type.
    pub fn shared<T: Send + Sync + 'static>(&self) -> Arc<T> {
        let shared = self.store.cloned().and_then(|store| store.downcast().ok());
        shared.expect("a kind that uses a store has returned one of the same type from `refresh`")
    }
}

/// The inputs for building a source.
pub struct SourceContext<'a> {
    /// The services that share the value, for the log.
    pub services: &'a [&'a str],
    /// TLS configurations toward servers.
    pub tls: &'a TlsClients,
    /// Resolves host names.
    pub resolver: &'a Resolver,
    /// Turns of token requests, so that no server gets all at once.
    pub turns: &'a TokenRequestTurns,
    /// Rotated refresh tokens.
    pub refresh_tokens: &'a Arc<RefreshTokenRegistry>,
    /// Metrics of token requests.
    pub users: &'a SharedTokenMetrics,
    /// Traces of token requests.
    pub traces: &'a Arc<CurrentTracer>,
    /// The fleet that shares the value, if it is shared.
    pub fleet: Option<&'a Fleet>,
    /// Sessions that are ended when they are not used any more.
    pub logouts: &'a Arc<Logouts>,
}

impl SourceContext<'_> {
    /// The value of the fleet that `what` shapes and that has no refresh token; `None` if it is not shared. A value that the upstream
    /// rejects is replaced no earlier than `min_interval`.
    pub(super) fn fleet_value(
        &self,
        kind: &str,
        what: &impl Hash,
        min_interval: Duration,
    ) -> Option<Arc<Shared>> {
        self.fleet.map(|fleet| fleet.value(kind, what, Rules { rotates: false, min_interval }))
    }

    /// A value of the fleet, as these services use it.
    pub(super) fn traced(&self, shared: Arc<Shared>) -> TracedValue {
        let (metrics, traces) = (self.users.clone(), self.traces.clone());
        TracedValue { shared, metrics, traces, services: self.services.join(", ") }
    }

    /// A source whose tokens are those of the fleet.
    pub(super) fn shared<S: TokenSource>(&self, source: S, shared: Arc<Shared>) -> SharedTokens<S> {
        SharedTokens::new(source, self.traced(shared))
    }
}

/// The store that is kept, if it has values of this type; otherwise a new one, with this interval between two forced refreshes.
pub fn store_or_new<T: Expiring>(kept: Option<StoreHandle>, min_interval: Duration) -> Arc<Store<T>> {
    let kept = kept.and_then(|store| store.downcast().ok());
    kept.unwrap_or_else(|| Arc::new(Store::new(min_interval)))
}

/// A store, and the refresher that fills it once it is started.
pub struct Refresh {
    /// The store.
    pub store: StoreHandle,
    start: Box<dyn FnOnce(String) -> AbortHandle + Send>,
}

impl Refresh {
    /// A refresher that fills `store` from `source`.
    pub fn new<T: Expiring>(source: Arc<dyn Source<T>>, store: Arc<Store<T>>) -> Self {
        store.watch_risk(source.risk());
        store.watch_server(source.server());
        store.watch_sharing(source.sharing());
        let handle: StoreHandle = store.clone();
        let start = move |services| tokio::spawn(refresher::run(services, source, store)).abort_handle();
        Self { store: handle, start: Box::new(start) }
    }

    /// A task that works on `shared`, until it is not needed any more.
    pub fn task<T: Send + Sync + 'static, F: Future<Output = ()> + Send + 'static>(
        shared: Arc<T>,
        run: impl FnOnce(String) -> F + Send + 'static,
    ) -> Self {
        Self { store: shared, start: Box::new(move |services| tokio::spawn(run(services)).abort_handle()) }
    }

    /// Starts the refresher for services of these names.
    pub fn start(self, services: String) -> AbortHandle {
        (self.start)(services)
    }
}

/// [`Kind::refresh`], with the type of the settings erased.
pub(super) type RefreshFn =
    fn(&Auth, &SourceContext<'_>, Option<StoreHandle>) -> Result<Option<Refresh>, BuildError>;

/// A kind in the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The part that the configuration uses: the name and the reader.
    pub auth: AuthKind,
    pub(super) refresh: RefreshFn,
    pub(super) keeps_value: fn(&Auth, &Auth) -> bool,
    pub(super) build: fn(&Auth, &Build<'_>) -> Box<dyn Signer>,
    pub(super) value_server: fn(&Auth) -> Option<String>,
    pub(super) servers: fn(&Auth) -> Vec<ValueServer>,
    pub(super) explain_failure: fn(&Auth, &SourceError) -> Vec<String>,
    pub(super) rejected_with: &'static [u16],
    pub(super) is_of_platform: bool,
    pub(super) upstream_errors: UpstreamErrors,
    pub(super) explain_401: fn(&Auth, &Rejection<'_>) -> Vec<String>,
}

impl Entry {
    /// The entry of a kind.
    pub const fn of<K: Kind>() -> Self {
        Self {
            auth: AuthKind { name: K::NAME, keys: K::KEYS, schema: K::schema, read: read::<K> },
            refresh: |auth, context, reuse| K::refresh(settings::<K>(auth), context, reuse),
            keeps_value: |old, new| match (old.settings(), new.settings()) {
                (Some(old), Some(new)) => K::keeps_value(old, new),
                _ => false,
            },
            build: |auth, build| K::build(settings::<K>(auth), build),
            value_server: |auth| K::value_server(settings::<K>(auth)),
            servers: |auth| K::servers(settings::<K>(auth)),
            explain_failure: |auth, error| K::explain_failure(settings::<K>(auth), error),
            rejected_with: K::REJECTED_WITH,
            is_of_platform: K::IS_OF_PLATFORM,
            upstream_errors: K::UPSTREAM_ERRORS,
            explain_401: |auth, rejection| K::explain_401(settings::<K>(auth), rejection),
        }
    }
}

fn read<K: Kind>(mapping: &mut Mapping<'_>) -> Option<Auth> {
    let settings = K::read(mapping)?;
    let facts = AuthFacts {
        has_previous: K::has_previous(&settings),
        is_fixed: K::IS_FIXED,
        signs: K::SIGNS,
        is_for_host: K::IS_FOR_HOST,
        unshareable: K::unshareable(&settings),
        region: K::region(&settings),
        places: K::owned(&settings).places(),
    };
    Some(Auth::new(K::NAME, settings, facts))
}

fn settings<K: Kind>(auth: &Auth) -> &K::Settings {
    auth.settings().expect("an entry is found by the name of its kind")
}

/// A signer with the new secret, which rotates if there is a previous one.
pub fn with_previous<S: Signer + 'static>(build: &Build<'_>, new: S, previous: Option<S>) -> Box<dyn Signer> {
    match previous {
        None => Box::new(new),
        Some(previous) => Box::new(Rotating::new(build.service, Box::new(new), Box::new(previous))),
    }
}
