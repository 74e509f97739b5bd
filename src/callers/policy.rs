//! The callers and the roles of a configuration.

use std::collections::HashMap;
use std::sync::Arc;

use httparse::Header;

use super::caller_id::CallerId;
use super::connection;
use super::connection::{ConnectionCaller, PeerFacts};
use super::counts::{CallerCounts, CallerTotals, Counts};
use super::credential;
use super::credential::Presented;
use super::keys::{Hash, Keys, hash};
use super::refusal::Refusal;
use super::roles::{NotPermitted, Permission, Roles};
use super::token::{IssuerKeys, Tokens};
use crate::config::{ANONYMOUS, CallerConfig, Config, JwksSource, JwksUrl};
use crate::rules::{Decision, Rules};
use crate::upstream::{LimitExceeded, Limits, RequestPermit};

/// Who may call, and what. Immutable.
pub struct CallerPolicy {
    callers: Box<[Caller]>,
    pub(super) keys: Keys,
    tokens: Tokens,
    /// Whether any caller presents a credential.
    takes_credentials: bool,
    /// Whether any caller is known by the process that has connected.
    needs_processes: bool,
    /// Whether any caller is known by its control group.
    needs_cgroups: bool,
    roles: Roles,
    counts: Counts,
}

struct Caller {
    config: CallerConfig,
    /// What it is known by, such as `unix+network`.
    known_by: String,
    limits: Option<Arc<Limits>>,
}

impl CallerPolicy {
    /// The policy of a configuration; `None` without `callers`. Limits of callers that are as in `running` go on counting. `issuers` has
    /// the keys that are fetched.
    pub fn new(
        config: &Config,
        running: Option<&Self>,
        counts: &CallerCounts,
        issuers: &HashMap<JwksUrl, Arc<IssuerKeys>>,
    ) -> Option<Arc<Self>> {
        if config.callers.is_empty() {
            return None;
        }
        let names: Vec<_> = config.callers.iter().map(|caller| caller.name.as_str()).collect();
        let services: Vec<_> = config.services.iter().map(|service| service.name.as_str()).collect();
        let keys = config
            .callers
            .iter()
            .zip(0..)
            .flat_map(|(caller, index)| caller.bearer.iter().flatten().map(move |key| (key.0, index)));
        let identities = config
            .callers
            .iter()
            .enumerate()
            .filter_map(|(index, caller)| Some((index, caller.jwt.as_ref()?)));
        let issuer_keys = |source: &JwksSource| match source {
            JwksSource::File(json) => Arc::new(IssuerKeys::fixed(json)),
            // Without them no token is accepted.
            JwksSource::Url(url) => issuers.get(url).cloned().unwrap_or_default(),
        };
        let caller = |config: &CallerConfig| Caller {
            known_by: known_by(config),
            limits: running.and_then(|running| running.limits_of(config)).unwrap_or_else(|| {
                Limits::of_caller(config.max_in_flight, config.rate_limit.as_ref()).map(Arc::new)
            }),
            config: config.clone(),
        };
        Some(Arc::new(Self {
            keys: Keys::new(keys),
            tokens: Tokens::new(identities, issuer_keys),
            takes_credentials: config.callers.iter().any(CallerConfig::presents_credential),
            needs_processes: config.callers.iter().any(|caller| caller.unix.is_some()),
            needs_cgroups: config
                .callers
                .iter()
                .any(|caller| caller.unix.as_ref().is_some_and(|unix| unix.cgroup.is_some())),
            roles: Roles::new(&config.roles, &names, &config.services),
            counts: counts.of(names.iter().copied().chain([ANONYMOUS]), services.iter().copied()),
            callers: config.callers.iter().map(caller).collect(),
        }))
    }

    /// The limits of a caller that had the same ones.
    #[expect(clippy::option_option, reason = "a caller that is not there, and one without limits")]
    fn limits_of(&self, config: &CallerConfig) -> Option<Option<Arc<Limits>>> {
        let same = self.callers.iter().find(|caller| {
            let CallerConfig { name, max_in_flight, rate_limit, .. } = &caller.config;
            (name, max_in_flight, rate_limit) == (&config.name, &config.max_in_flight, &config.rate_limit)
        });
        same.map(|caller| caller.limits.clone())
    }

    /// Whether the peer of a Unix socket must be known.
    pub fn needs_processes(&self) -> bool {
        self.needs_processes
    }

    /// Whether the control group of a Unix socket's peer must be known.
    pub fn needs_cgroups(&self) -> bool {
        self.needs_cgroups
    }

    /// The caller of a connection, for its requests that present no credential: the first one, in the order of the configuration, that
    /// is known by connections alone, and by this one.
    pub fn of_connection(&self, facts: Arc<PeerFacts>) -> ConnectionCaller {
        let is_it = |caller: &Caller| {
            !caller.config.presents_credential() && connection::is_of(&caller.config, &facts)
        };
        let caller = self.callers.iter().position(is_it).map(CallerId);
        ConnectionCaller { facts, caller }
    }

    /// The caller of a request; `None` if it is not known. Without `connection` nothing is known of that. `of_connect` is the credential of the `CONNECT` that the request came through.
    ///
    /// # Errors
    ///
    /// If the request presents a credential that is not accepted. It has no other identity then.
    pub fn identify(
        &self,
        connection: Option<&ConnectionCaller>,
        fields: &[Header<'_>],
        of_connect: Option<&[u8]>,
    ) -> Result<Option<CallerId>, Refusal> {
        match self.presented(fields, of_connect)? {
            None => Ok(connection.and_then(|connection| connection.caller)),
            Some(presented) => {
                let none = PeerFacts::default();
                let facts = connection.map_or(&none, |connection| &*connection.facts);
                self.by_credential(facts, presented.bytes()).map(Some)
            }
        }
    }

    /// The credential that a request presents.
    ///
    /// # Errors
    ///
    /// If there is more than one, or one that cannot be read.
    pub fn presented<'a>(
        &self,
        fields: &'a [Header<'a>],
        of_connect: Option<&'a [u8]>,
    ) -> Result<Option<Presented<'a>>, Refusal> {
        if self.takes_credentials { credential::of(fields, of_connect) } else { Ok(None) }
    }

    fn by_credential(&self, facts: &PeerFacts, presented: &[u8]) -> Result<CallerId, Refusal> {
        let hash: Hash = hash(presented);
        let is_of = |caller: usize| connection::is_of(&self.callers[caller].config, facts);
        match self.keys.find(&hash) {
            Some(caller) if is_of(caller) => Ok(CallerId(caller)),
            Some(_) => Err(Refusal::OtherConnection),
            None if self.tokens.may_have(presented) => {
                self.tokens.find(&hash, presented, is_of).map(CallerId)
            }
            None => Err(Refusal::UnknownKey),
        }
    }

    /// The caller of that name.
    pub fn named(&self, name: &str) -> Option<CallerId> {
        self.callers.iter().position(|caller| caller.config.name == name).map(CallerId)
    }

    /// The name of a caller.
    pub fn name(&self, caller: Option<CallerId>) -> &str {
        caller.map_or(ANONYMOUS, |CallerId(caller)| &self.callers[caller].config.name)
    }

    /// What a caller is known by, such as `unix+network`; empty for one that is not known.
    pub fn known_by(&self, caller: Option<CallerId>) -> &str {
        caller.map_or("", |CallerId(caller)| &self.callers[caller].known_by)
    }

    /// Decides about a request to the service at that position. `is_required` says whether the listener requires a known caller.
    /// `decide` applies rules to the request.
    ///
    /// # Errors
    ///
    /// If the caller may not make the request.
    pub fn permit<'p>(
        &'p self,
        service: usize,
        caller: Option<CallerId>,
        is_required: bool,
        decide: impl Fn(&'p Rules) -> Decision<'p>,
    ) -> Result<Permission<'p>, NotPermitted<'p>> {
        self.roles.permit(service, caller, is_required, decide)
    }

    /// Whether any role has rules for the service at that position.
    pub fn has_rules(&self, service: usize) -> bool {
        self.roles.have_rules(service)
    }

    /// Acquires the permit of a caller's limits to send one request.
    ///
    /// # Errors
    ///
    /// If a limit is reached.
    pub fn try_acquire(&self, caller: Option<CallerId>) -> Result<Option<RequestPermit<'_>>, LimitExceeded> {
        let limits = caller.and_then(|CallerId(caller)| self.callers[caller].limits.as_ref());
        limits.map_or(Ok(None), |limits| limits.try_acquire())
    }

    /// The requests of a service, by caller.
    pub fn totals(&self, service: &str) -> Vec<CallerTotals> {
        self.counts.totals(service)
    }

    /// Counts a request. `service` is its position; `None` if the request led to none.
    pub fn count(&self, service: Option<usize>, caller: Option<CallerId>, refusal: Option<Refusal>) {
        let caller = caller.map_or(self.callers.len(), |CallerId(caller)| caller);
        self.counts.count(service, caller, refusal);
    }
}

fn known_by(caller: &CallerConfig) -> String {
    let all = [
        ("unix", caller.unix.is_some()),
        ("certificate", caller.certificate.is_some()),
        ("network", caller.network.is_some()),
        ("bearer", caller.bearer.is_some()),
        ("jwt", caller.jwt.is_some()),
    ];
    let names: Vec<_> = all.iter().filter(|(_, is_known)| *is_known).map(|(name, _)| *name).collect();
    names.join("+")
}
