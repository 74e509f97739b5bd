//! Header fields that authenticate Sidekey itself: to forward proxies, to the collector of traces, and to a running
//! Sidekey.

use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::kinds::basic;
use crate::secret::Secret;

/// `Proxy-Authorization` (RFC 9110 §11.7.2) for a forward proxy, if its configuration has credentials.
pub fn proxy_authorization(proxy: &crate::config::ProxyConfig) -> Option<HeaderValue> {
    let (username, password) = proxy.credentials.as_ref()?;
    Some(basic::value(username, password.as_ref()))
}

/// `Authorization` of a request that Sidekey itself makes: to the admin address of a running one, or for the keys of an issuer.
pub fn bearer_authorization(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {}", token.expose()))).ok()?;
    value.set_sensitive(true);
    Some(value)
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
