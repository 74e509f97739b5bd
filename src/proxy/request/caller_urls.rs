//! How the URLs in a response are rewritten for the caller of a request in flight.

use std::cell::Cell;

use super::state::Request;
use crate::proxy::wire::location::Locations;
use crate::proxy::wire::response_urls::ResponseUrls;
use crate::runtime::route::MatchKind;

impl Request<'_> {
    /// Returns what the URLs of a response are rewritten with.
    pub(super) fn response_urls(&self) -> ResponseUrls<'_> {
        let service = self.service;
        let intercepted = self.context.peer.intercepted();
        // In TLS that is intercepted the caller uses the upstream's own URLs.
        let uses_upstream_urls =
            self.matched_by == MatchKind::UpstreamUrl && intercepted.is_some_and(|within| within.is_tls);
        let locations = (service.rewrite_location && !uses_upstream_urls).then(|| Locations {
            name: &service.name,
            is_tls: !self.endpoint.is_plain(),
            authority: &self.endpoint.authority,
            base_path: &self.endpoint.base_path,
            matched_by: self.matched_by,
        });
        ResponseUrls {
            locations,
            is_caller_tls: intercepted.map_or(self.context.listener.tls.is_some(), |within| within.is_tls),
            caller_authority: &self.caller_authority,
            owned: service.credential.signer().owned(),
            stripped: Cell::new(0),
        }
    }

    /// Counts the URLs that a part of the credential was removed from.
    pub(super) fn record_stripped(&self, urls: &ResponseUrls<'_>) {
        let count = urls.stripped.get();
        if count > 0 {
            self.service.metrics.credential_redacted(count);
        }
    }
}
