//! A service at run time: its credential, its upstream, its metrics. Shared by proxy and admin.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

pub use super::failure_log::FailureLog;
use crate::config::{Auth, Labels, LeakGuardMode, OAuth2, Readiness, RefreshOn, ServiceConfig};
use crate::credential;
use crate::credential::{Credential, Owned};
use crate::metrics::ServiceMetrics;
use crate::rules::Rules;
use crate::upstream::Upstream;

/// One entry under `services`, ready to serve.
pub struct Service {
    /// The name of the service.
    pub name: String,
    /// The settings of its credential.
    pub auth: Auth,
    /// The credential that is injected into requests.
    pub credential: Credential,
    /// The parts of a caller's request that are not passed on: those that belong to the credential, and the
    /// header fields of `headers.remove`.
    pub removed: Arc<Owned>,
    /// The requests that are accepted; `None`: all.
    pub rules: Option<Rules>,
    /// The upstream that requests are sent to.
    pub upstream: Arc<Upstream>,
    /// The upstream's URL, which holds no secret.
    pub upstream_url: String,
    /// The token endpoint, without secrets; `None` for a static credential.
    pub token_endpoint: Option<String>,
    /// The host of the token endpoint or issuer; `None` for a static credential.
    pub provider: Option<String>,
    /// Time for which a request may wait for a token that is being obtained.
    pub token_wait: Duration,
    /// Whether a `Location` of the upstream is rewritten to a URL of Sidekey.
    pub rewrite_location: bool,
    /// Where the credential is masked if a response repeats it.
    pub leak_guard: LeakGuardMode,
    /// Whether the token of the caller is needed to sign a request.
    pub takes_subject: bool,
    /// Whether `Via` is added to what is forwarded.
    pub via: bool,
    /// Whether a request is sent again after a 401, with another credential.
    pub retry_on_401: bool,
    /// Which responses, beside a 401, say that the credential was not accepted.
    pub refresh_on: Option<RefreshOn>,
    /// Whether responses are read, so that the upstream is asked not to compress them.
    pub reads_responses: bool,
    /// Whether readiness depends on the service.
    pub readiness: Readiness,
    /// Labels of `sidekey_service_info`.
    pub labels: Labels,
    /// The series of its requests.
    pub metrics: ServiceMetrics,
    /// The last request that Sidekey itself could not serve.
    pub last_failure: LastFailure,
    /// Which failed requests are logged as warnings.
    pub failure_log: FailureLog,
}

impl Service {
    /// The service of this configuration.
    pub fn new(
        config: &ServiceConfig,
        credential: Credential,
        upstream: Arc<Upstream>,
        metrics: ServiceMetrics,
    ) -> Self {
        let owned = credential.signer().owned().clone();
        let removed =
            config.headers.remove.iter().fold(owned, |removed, name| {
                Arc::new(Arc::unwrap_or_clone(removed).with_header(name.clone()))
            });
        let takes_subject = credential.caller_tokens().is_some();
        Self {
            name: config.name.clone(),
            auth: config.auth.clone(),
            credential,
            removed,
            rules: config.rules.clone(),
            upstream,
            upstream_url: config.upstream.to_string(),
            token_endpoint: credential::value_server(&config.auth),
            provider: config.auth.settings::<OAuth2>().and_then(|oauth2| oauth2.token_url.host()),
            token_wait: config.token_wait,
            rewrite_location: config.rewrite_location,
            leak_guard: config.leak_guard,
            takes_subject,
            via: config.via,
            retry_on_401: config.retry_on_401,
            reads_responses: config.leak_guard == LeakGuardMode::Body
                || config.refresh_on.as_ref().is_some_and(RefreshOn::reads_bodies),
            refresh_on: config.refresh_on.clone(),
            readiness: config.readiness,
            labels: config.labels.clone(),
            metrics,
            last_failure: LastFailure::default(),
            failure_log: FailureLog::default(),
        }
    }
}

/// The last request that Sidekey itself could not serve, for the status page.
#[derive(Default)]
pub struct LastFailure(Mutex<Option<RequestFailure>>);

/// A request that Sidekey itself could not serve.
#[derive(Debug, Clone)]
pub struct RequestFailure {
    /// The time of the failure.
    pub at: SystemTime,
    /// The reason, as in `Sidekey-Error`.
    pub reason: &'static str,
    /// The cause, as in the log; contains nothing of the request.
    pub cause: String,
}

impl LastFailure {
    /// Records a failure.
    pub fn set(&self, reason: &'static str, cause: &str) {
        let failure = RequestFailure { at: SystemTime::now(), reason, cause: cause.to_owned() };
        *self.0.lock() = Some(failure);
    }

    /// The last failure.
    pub fn get(&self) -> Option<RequestFailure> {
        self.0.lock().clone()
    }
}
