//! Who may read and change what at the admin address. Decided from a request's head alone.
//!
//! - Page and API answer only under a name that is Sidekey's own (an address, `localhost`, `admin.hosts`), so that a web
//!   page cannot read them by having its own name resolve to this machine (DNS rebinding).
//! - A request that changes something needs the admin token, or a Unix socket, whose file mode says who may connect. It must be
//!   JSON, which no form of another page can send, and have the same origin if a browser states its origin.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::problem::Problem;
use crate::config;
use crate::config::{Authority, ListenAddress};
use crate::manage::ManagedFolder;
use crate::secret::Secret;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The access rules of the admin listener, which a reload may replace.
pub struct AccessPolicy(ArcSwap<AccessRules>);

impl AccessPolicy {
    pub(super) fn new(config: &config::Admin) -> Self {
        Self(ArcSwap::from_pointee(AccessRules::new(config)))
    }

    /// Replaces the rules, from the next request on. The kind of listener stays as it was bound: an address cannot become a Unix
    /// socket, which requires less.
    pub fn replace(&self, config: &config::Admin) {
        let rules = self.0.load();
        // Another folder is written to after a restart only, as the process was allowed it then. None is written to at once.
        let manage = rules.manage.clone().filter(|folder| config.manage.as_ref() == Some(folder));
        self.0.store(Arc::new(AccessRules { is_unix: rules.is_unix, manage, ..AccessRules::new(config) }));
    }

    /// The rules in force.
    pub(super) fn rules(&self) -> Guard<Arc<AccessRules>> {
        self.0.load()
    }
}

/// The rules for one request.
pub(super) struct AccessRules {
    token: Option<Secret>,
    read_requires_token: bool,
    metrics_require_token: bool,
    hosts: Vec<String>,
    is_unix: bool,
    manage: Option<PathBuf>,
}

impl AccessRules {
    pub(super) fn new(config: &config::Admin) -> Self {
        Self {
            token: config.token.clone(),
            read_requires_token: config.require_token_to_read,
            metrics_require_token: config.require_token_for_metrics,
            hosts: config.hosts.clone(),
            is_unix: matches!(config.listen, ListenAddress::Unix(_)),
            // A second check: the configuration has none without a token.
            manage: config.manage.clone().filter(|_| config.token.is_some()),
        }
    }

    /// What the page has to know to ask for a token: whether reading requires one, and whether writing does; `None` if nothing
    /// can be changed at this address.
    pub(super) fn requirements(&self) -> (bool, Option<bool>) {
        let write = match (&self.token, self.is_unix) {
            (Some(_), _) => Some(true),
            (None, true) => Some(false),
            (None, false) => None,
        };
        (self.read_requires_token, write)
    }

    /// The folder of the services that may be added and changed.
    pub(super) fn managed_folder(&self) -> Option<ManagedFolder> {
        self.manage.clone().map(|path| ManagedFolder { path })
    }

    /// May the page be loaded? It holds no state.
    pub(super) fn page(&self, head: &HeaderMap) -> Result<(), Problem> {
        self.host(head)
    }

    /// May the API be read?
    pub(super) fn read(&self, head: &HeaderMap) -> Result<(), Problem> {
        self.host(head)?;
        if self.read_requires_token { self.authorized(head) } else { Ok(()) }
    }

    /// May `/metrics` and the body of `/readyz` be read? Scrapers use any host name.
    pub(super) fn metrics(&self, head: &HeaderMap) -> Result<(), Problem> {
        if self.metrics_require_token { self.authorized(head) } else { Ok(()) }
    }

    /// May something be changed?
    pub(super) fn write(&self, head: &HeaderMap) -> Result<(), Problem> {
        self.host(head)?;
        same_origin(head)?;
        if !text(head, &CONTENT_TYPE).is_some_and(is_json) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "A request that changes something must have `Content-Type: application/json`.",
            ));
        }
        match self.requirements().1 {
            Some(true) => self.authorized(head),
            Some(false) => Ok(()),
            None => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "Nothing can be changed here: the configuration has no `admin.token`, and this is no Unix socket.",
            )),
        }
    }

    /// May the process be ended? From this machine without a token: the app beside a sidecar has none.
    pub(super) fn quit(&self, head: &HeaderMap, peer: Option<IpAddr>) -> Result<(), Problem> {
        self.host(head)?;
        same_origin(head)?;
        if self.is_unix || peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
            return Ok(());
        }
        self.authorized(head)
    }

    fn authorized(&self, head: &HeaderMap) -> Result<(), Problem> {
        let Some(sent) = text(head, &AUTHORIZATION) else {
            return Err(Problem::unauthorized("This needs the admin token: `Authorization: Bearer TOKEN`."));
        };
        let bearer = sent.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let matches = match (&self.token, bearer) {
            (Some(token), Some((_, sent))) => token.ct_eq(sent.trim().as_bytes()),
            _ => false,
        };
        if matches {
            return Ok(());
        }
        tracing::warn!("admin request rejected: wrong admin token");
        Err(Problem::unauthorized("This is not the admin token."))
    }

    fn host(&self, head: &HeaderMap) -> Result<(), Problem> {
        if text(head, &HOST).is_some_and(|host| self.is_own(host)) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Page and API answer under an IP address or `localhost` only, so that no web page can reach them under its own \
             name. Add other names to `admin.hosts`.",
        ))
    }

    fn is_own(&self, host: &str) -> bool {
        let Some(Authority { host, .. }) = Authority::parse(host) else { return false };
        let address = host.trim_matches(['[', ']']);
        address.parse::<IpAddr>().is_ok() || host == "localhost" || self.hosts.iter().any(|own| *own == host)
    }
}

/// If a browser states the origin of a request, it must be this listener.
fn same_origin(head: &HeaderMap) -> Result<(), Problem> {
    let other = || {
        let problem =
            "The request comes from another web page; only the status page itself may change something.";
        Err(Problem::new(StatusCode::FORBIDDEN, problem))
    };
    if head.contains_key(SEC_FETCH_SITE)
        && !matches!(text(head, &SEC_FETCH_SITE), Some("same-origin" | "none"))
    {
        return other();
    }
    if head.contains_key(ORIGIN) {
        let origin = text(head, &ORIGIN).and_then(|origin| origin.split_once("://"));
        let host = text(head, &HOST);
        if !origin.is_some_and(|(_, authority)| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
        {
            return other();
        }
    }
    Ok(())
}

fn is_json(media_type: &str) -> bool {
    media_type
        .split(';')
        .next()
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The value of a header field that occurs once and is text.
fn text<'h>(head: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = head.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
