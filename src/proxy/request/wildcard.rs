//! The endpoint of a request for a service whose upstream is a wildcard: that of the host which the caller names.

use std::sync::{Arc, OnceLock};

use crate::config::Authority;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::runtime::route::MatchKind;
use crate::upstream::{Endpoint, WildcardUpstream};

/// Holds the endpoint of one request, for all of its attempts. It stays empty without a wildcard: then the endpoint is borrowed from
/// the service.
#[derive(Default)]
pub(crate) struct EndpointSlot(OnceLock<Arc<Endpoint>>);

impl EndpointSlot {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The endpoint for the host of the request, which is that of its target or its `Host`.
    pub(super) fn endpoint(
        &self,
        upstream: Option<&WildcardUpstream>,
        matched_by: MatchKind,
        host: &str,
    ) -> Result<&Endpoint, ProxyError> {
        if let Some(endpoint) = self.0.get() {
            return Ok(endpoint);
        }
        let named = if matched_by == MatchKind::PathPrefix { None } else { Authority::parse(host) };
        let endpoint = named.and_then(|named| upstream?.endpoint(&named.host)).ok_or_else(names_no_host)?;
        Ok(self.0.get_or_init(|| endpoint))
    }
}

fn names_no_host() -> ProxyError {
    ProxyError {
        detail: Some(
            "The upstream of the service is a wildcard (`https://*.…`), and this request names none of its hosts. Use Sidekey as a proxy, \
             with the whole URL of the host; or send a Host that is one label below a wildcard in the service's `hosts`.",
        ),
        ..ProxyError::new(ErrorReason::BadRequest, "the request names no host of the wildcard in `upstream`")
    }
}
