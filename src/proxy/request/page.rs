//! Web pages: a browser sends requests to any address that a page names, this machine's included. Such a request would get
//! the credential, so it is rejected unless the page is Sidekey's own, the upstream's, or one of `browser_origins`.
//!
//! A Unix socket cannot be reached by a page. Programs other than browsers send none of the fields that are checked here, but
//! a `WebSocket` library may send the origin of the API that it calls.

use std::net::Ipv4Addr;

use crate::config::{Authority, default_port};
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::session::{ConnectionContext, Exposure};
use crate::proxy::wire::parse_head::PageFields;
use crate::runtime::snapshot::Snapshot;
use crate::upstream::Upstream;

/// The address that a request is for, as a browser would know it.
pub(crate) struct CalledAddress<'a> {
    /// Host and port; empty if the request has none.
    pub(crate) authority: &'a str,
    /// Whether the URL is `https`.
    pub(crate) is_tls: bool,
    /// Whether the authority names the target of a proxy, and not Sidekey itself.
    pub(crate) is_target: bool,
}

/// Rejects a request that a web page may have caused. `upstream` is that of the service, if one matches.
pub(crate) fn check(
    context: &ConnectionContext,
    called: &CalledAddress<'_>,
    page: PageFields<'_>,
    upstream: Option<&Upstream>,
) -> Result<(), ProxyError> {
    let exposure = context.exposure;
    if exposure == Exposure::Unix {
        return Ok(());
    }
    let snapshot = context.snapshot();
    if exposure == Exposure::Loopback && !called.is_target && !is_own(snapshot, called) {
        return Err(forbidden("Host is neither a name of this machine nor of a service"));
    }
    if page == PageFields::default() || page.origin.is_some_and(|origin| is_allowed(snapshot, origin)) {
        return Ok(());
    }
    if page.fetch_site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return Err(forbidden("Sec-Fetch-Site is that of another web page"));
    }
    if page.origin.is_some_and(|origin| !is_called_or_upstream(origin, called, upstream)) {
        return Err(forbidden("Origin is that of another web page"));
    }
    Ok(())
}

/// Whether `Host` is one that no page can have as its own: an address, a loopback name (RFC 6761 §6.3), or a configured host.
/// Any other name may have been made to resolve to this machine by its owner (DNS rebinding).
fn is_own(snapshot: &Snapshot, called: &CalledAddress<'_>) -> bool {
    if is_plainly_own(called.authority) {
        return true;
    }
    let Some(Authority { host, .. }) = Authority::parse(called.authority) else { return false };
    host == "localhost"
        || host.starts_with('[')
        || host.parse::<Ipv4Addr>().is_ok()
        || host.ends_with(".localhost")
        || snapshot.routes.has_host(&host)
        || snapshot.browser_origins.iter().any(|origin| is_of_host(origin, &host))
}

fn is_of_host(origin: &str, host: &str) -> bool {
    parts(origin)
        .and_then(|(_, authority)| Authority::parse(authority))
        .is_some_and(|authority| authority.host == host)
}

/// Whether an authority in its usual spelling is an IPv4 address or `localhost`, or is missing: browsers always send `Host`,
/// and HTTP/1.0 programs may not. This is decided for every request. A host of digits and dots alone is an address, or no host.
fn is_plainly_own(authority: &str) -> bool {
    let bytes = authority.as_bytes();
    match bytes.first() {
        None => true,
        Some(b'0'..=b'9') => bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b':')),
        Some(b'l') => {
            authority.strip_prefix("localhost").is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        }
        Some(_) => false,
    }
}

fn is_allowed(snapshot: &Snapshot, origin: &[u8]) -> bool {
    snapshot.browser_origins.iter().any(|allowed| allowed.as_bytes() == origin)
}

fn is_called_or_upstream(origin: &[u8], called: &CalledAddress<'_>, upstream: Option<&Upstream>) -> bool {
    let Ok(origin) = std::str::from_utf8(origin) else { return false };
    is_called(origin, called)
        || upstream.is_some_and(|upstream| {
            upstream.endpoints().iter().any(|endpoint| is_same_origin(origin, &endpoint.origin))
        })
}

fn is_called(origin: &str, called: &CalledAddress<'_>) -> bool {
    parts(origin).is_some_and(|(is_tls, authority)| {
        is_tls == called.is_tls
            && Authority::is_same_server(authority, called.authority, default_port(is_tls))
    })
}

fn is_same_origin(one: &str, other: &str) -> bool {
    let (Some((tls, one)), Some((other_tls, other))) = (parts(one), parts(other)) else { return false };
    tls == other_tls && Authority::is_same_server(one, other, default_port(tls))
}

/// Whether the scheme is `https`, and the authority, of a serialized origin (RFC 6454 §6.2).
fn parts(origin: &str) -> Option<(bool, &str)> {
    let (scheme, authority) = origin.split_once("://")?;
    match scheme {
        "http" => Some((false, authority)),
        "https" => Some((true, authority)),
        _ => None,
    }
}

fn forbidden(cause: &str) -> ProxyError {
    ProxyError {
        detail: Some(
            "The request comes from a web page, or its Host is a name that Sidekey does not have. `browser_origins` allows \
             the pages of an origin.",
        ),
        ..ProxyError::new(ErrorReason::Forbidden, cause)
    }
}
