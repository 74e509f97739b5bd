//! A service at run time: its credential, the way to its upstream, its metrics. What proxy and admin share.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::credential::Credential;
use crate::metrics::ServiceMetrics;
use crate::upstream::Upstream;

/// One entry under `services`, ready to serve.
pub struct Service {
    /// Its name.
    pub name: String,
    /// `basic`, `bearer`, `api_key`, `oauth2`.
    pub kind: &'static str,
    /// What is injected.
    pub credential: Credential,
    /// Where requests go.
    pub upstream: Arc<Upstream>,
    /// The same as it is shown: a URL, which holds no secret.
    pub upstream_url: String,
    /// Where its tokens come from, as it is shown; `None` for a credential that never changes.
    pub token_endpoint: Option<String>,
    /// How long a request may wait for the very first token.
    pub token_wait: Duration,
    /// A `Location` inside the upstream is rewritten to the way the caller came in.
    pub rewrite_location: bool,
    /// Whether a request is sent once more after a 401, with another credential.
    pub replay_on_401: bool,
    /// Does not hold readiness back.
    pub optional: bool,
    /// Its request series.
    pub metrics: ServiceMetrics,
    /// The last request that Sidekey itself could not serve.
    pub last_failure: LastFailure,
}

/// The last request that Sidekey itself could not serve, for the status page.
#[derive(Default)]
pub struct LastFailure(Mutex<Option<RequestFailure>>);

/// A request that Sidekey itself could not serve.
#[derive(Debug, Clone)]
pub struct RequestFailure {
    /// When.
    pub at: SystemTime,
    /// As in `Sidekey-Error`.
    pub reason: &'static str,
    /// As in the log; holds nothing of the request.
    pub cause: String,
}

impl LastFailure {
    /// Notes one.
    pub fn set(&self, reason: &'static str, cause: &str) {
        let failure = RequestFailure { at: SystemTime::now(), reason, cause: cause.to_owned() };
        *self.0.lock() = Some(failure);
    }

    /// The last one.
    pub fn get(&self) -> Option<RequestFailure> {
        self.0.lock().clone()
    }
}
