//! Header fields that authenticate Sidekey itself: to forward proxies, and to the collector of traces.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::kinds::basic;

/// `Proxy-Authorization` (RFC 9110 §11.7.2) for a forward proxy, if its configuration has credentials.
pub fn proxy_authorization(proxy: &crate::config::ProxyConfig) -> Option<HeaderValue> {
    let (username, password) = proxy.credentials.as_ref()?;
    Some(basic::value(username, password.as_ref()))
}

/// The header fields for a collector of traces (`tracing.headers`).
pub fn collector_headers(tracing: &crate::config::Tracing) -> HeaderMap {
    let field = |(name, value): &(HeaderName, crate::secret::Secret)| {
        // The configuration has checked that the value is valid in a header.
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((name.clone(), value))
    };
    tracing.headers.iter().filter_map(field).collect()
}
