//! A service at run time: its credential, the way to its upstream, its metrics. What proxy and admin share.

use std::sync::Arc;
use std::time::Duration;

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
}
