//! Who may do what at the admin address. Decided from a request's head alone.
//!
//! - Page and API answer only under a name that is Sidekey's own (an address, `localhost`, `admin.hosts`), so that a web
//!   page cannot read them by having its own name resolve to this machine (DNS rebinding).
//! - What changes something needs the admin token, or a Unix socket, whose file mode says who may. It must be JSON, which
//!   no form of another page can send, and come from the same origin where a browser says where it comes from.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::problem::Problem;
use crate::config;
use crate::config::ListenAddress;
use crate::secret::Secret;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The rules of one admin listener, which a reload may change.
pub struct Rules(ArcSwap<Access>);

impl Rules {
    pub(super) fn new(config: &config::Admin) -> Self {
        Self(ArcSwap::from_pointee(Access::new(config)))
    }

    /// For the next request. What the listener is stays as it was bound: an address cannot become a Unix socket, where
    /// less is asked for.
    pub fn replace(&self, config: &config::Admin) {
        let is_unix = self.0.load().is_unix;
        self.0.store(Arc::new(Access { is_unix, ..Access::new(config) }));
    }

    pub(super) fn now(&self) -> Guard<Arc<Access>> {
        self.0.load()
    }
}

/// The rules as of one moment.
pub(super) struct Access {
    token: Option<Secret>,
    reading_needs_token: bool,
    metrics_need_token: bool,
    hosts: Vec<String>,
    is_unix: bool,
}

impl Access {
    pub(super) fn new(config: &config::Admin) -> Self {
        Self {
            token: config.token.clone(),
            reading_needs_token: config.require_token_to_read,
            metrics_need_token: config.require_token_for_metrics,
            hosts: config.hosts.clone(),
            is_unix: matches!(config.listen, ListenAddress::Unix(_)),
        }
    }

    /// What the page must know to ask for a token: whether reading, and whether changing, needs one, or `None` where
    /// nothing can be changed at all.
    pub(super) fn needs(&self) -> (bool, Option<bool>) {
        let changing = match (&self.token, self.is_unix) {
            (Some(_), _) => Some(true),
            (None, true) => Some(false),
            (None, false) => None,
        };
        (self.reading_needs_token, changing)
    }

    /// The page itself, which holds no state.
    pub(super) fn page(&self, head: &HeaderMap) -> Result<(), Problem> {
        self.host(head)
    }

    /// Reading the API.
    pub(super) fn read(&self, head: &HeaderMap) -> Result<(), Problem> {
        self.host(head)?;
        if self.reading_needs_token { self.authorized(head) } else { Ok(()) }
    }

    /// `/metrics`, and the body of `/readyz`. Scrapers come under any name.
    pub(super) fn metrics(&self, head: &HeaderMap) -> Result<(), Problem> {
        if self.metrics_need_token { self.authorized(head) } else { Ok(()) }
    }

    /// Changing anything.
    pub(super) fn change(&self, head: &HeaderMap) -> Result<(), Problem> {
        self.host(head)?;
        same_origin(head)?;
        if !text(head, &CONTENT_TYPE).is_some_and(is_json) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "A request that changes something has `Content-Type: application/json`.",
            ));
        }
        match self.needs().1 {
            Some(true) => self.authorized(head),
            Some(false) => Ok(()),
            None => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "Nothing can be changed here: the configuration has no `admin.token`, and this is no Unix socket.",
            )),
        }
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
        let host = text(head, &HOST).map(str::to_ascii_lowercase);
        if host.as_deref().is_some_and(|host| self.is_own(host)) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Page and API answer under an IP address or `localhost` only, so that no web page can reach them under a \
             name of its own. Other names go into `admin.hosts`.",
        ))
    }

    fn is_own(&self, host: &str) -> bool {
        let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, port)) => (name, port.strip_prefix(':').or(port.is_empty().then_some(""))),
            None => host.split_once(':').map_or((host, Some("")), |(name, port)| (name, Some(port))),
        };
        port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
            && (name.parse::<IpAddr>().is_ok()
                || name == "localhost"
                || self.hosts.iter().any(|own| own == name))
    }
}

/// Where a browser says from where a request comes, it must be from here.
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

/// The value of a field that is there once and is text.
fn text<'h>(head: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = head.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef-admin";

    fn access(token: bool, reading_needs_token: bool, is_unix: bool) -> Access {
        let token = token.then(|| Secret::new(TOKEN.into()).unwrap());
        let hosts = vec!["admin.internal".into()];
        Access { token, reading_needs_token, metrics_need_token: reading_needs_token, hosts, is_unix }
    }

    fn head(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut head = HeaderMap::new();
        for (name, value) in fields {
            head.append(*name, value.parse().unwrap());
        }
        head
    }

    fn status(result: Result<(), Problem>) -> u16 {
        result.map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    #[test]
    fn answers_under_its_own_names_only() {
        let open = access(false, false, false);
        let page = |host: &str| status(open.read(&head(&[("host", host)])));
        for host in [
            "127.0.0.1:9090",
            "127.0.0.1",
            "[::1]:9090",
            "localhost:9090",
            "LOCALHOST",
            "admin.internal:80",
            "10.1.2.3:1",
        ] {
            assert_eq!(page(host), 200, "{host}");
        }
        for host in [
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "[::1].evil.example",
            "admin.internal.",
            "sub.admin.internal",
            "",
        ] {
            assert_eq!(page(host), 403, "{host}");
        }
        assert_eq!(status(open.read(&head(&[]))), 403);
        assert_eq!(status(open.read(&head(&[("host", "localhost"), ("host", "evil.example")]))), 403);
    }

    #[test]
    fn a_change_needs_the_token_or_a_unix_socket() {
        let with = |authorization: Option<&str>| {
            let mut fields = vec![("host", "localhost"), ("content-type", "application/json; charset=utf-8")];
            fields.extend(authorization.map(|value| ("authorization", value)));
            head(&fields)
        };
        let right = format!("Bearer {TOKEN}");
        let closed = access(true, false, false);
        assert_eq!(status(closed.change(&with(Some(&right)))), 200);
        assert_eq!(status(closed.change(&with(Some(&format!("bearer {TOKEN}"))))), 200);
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer x",
            TOKEN,
            &right[..right.len() - 1],
            &format!("{right}x"),
            "Basic eDp5",
        ] {
            assert_eq!(status(closed.change(&with(Some(wrong)))), 401, "{wrong}");
        }
        assert_eq!(status(closed.change(&with(None))), 401);
        assert_eq!(
            status(access(true, false, true).change(&with(None))),
            401,
            "a token that is set is asked for"
        );
        assert_eq!(status(access(false, false, true).change(&with(None))), 200);
        assert_eq!(status(access(false, false, false).change(&with(Some(&right)))), 403);
    }

    #[test]
    fn a_change_comes_from_the_page_itself_as_json() {
        let unix = access(false, false, true);
        let with = |fields: &[(&'static str, &str)]| {
            let mut all = vec![("host", "127.0.0.1:9090")];
            all.extend_from_slice(fields);
            status(unix.change(&head(&all)))
        };
        let json = ("content-type", "application/json");
        assert_eq!(with(&[json]), 200);
        assert_eq!(
            with(&[json, ("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "same-origin")]),
            200
        );
        for foreign in [
            ("origin", "http://evil.example"),
            ("origin", "http://127.0.0.1:8080"),
            ("origin", "http://127.0.0.1"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(with(&[json, foreign]), 403, "{foreign:?}");
        }
        assert_eq!(
            with(&[json, ("origin", "http://127.0.0.1:9090"), ("origin", "http://evil.example")]),
            403
        );
        for form in [
            "application/x-www-form-urlencoded",
            "text/plain",
            "multipart/form-data",
            "text/plain; application/json",
        ] {
            assert_eq!(with(&[("content-type", form)]), 415, "{form}");
        }
        assert_eq!(with(&[]), 415);
    }

    #[test]
    fn rules_change_and_an_address_does_not_become_a_socket() {
        let with = |listen: ListenAddress, token: Option<&str>| config::Admin {
            token: token.map(|token| Secret::new(token.into()).unwrap()),
            ..config::Admin::at(listen)
        };
        let address = || ListenAddress::Tcp(([127, 0, 0, 1], 9090).into());
        let json = [("host", "localhost"), ("content-type", "application/json")];
        let change = |rules: &Rules, token: &str| {
            let bearer = format!("Bearer {token}");
            let fields: Vec<_> = json.into_iter().chain([("authorization", bearer.as_str())]).collect();
            status(rules.now().change(&head(&fields)))
        };
        let rules = Rules::new(&with(address(), Some("the-first-admin-token")));
        assert_eq!(change(&rules, "the-first-admin-token"), 200);
        rules.replace(&with(address(), Some("the-second-admin-token")));
        assert_eq!(change(&rules, "the-first-admin-token"), 401);
        assert_eq!(change(&rules, "the-second-admin-token"), 200);
        // It is bound at the next start only.
        rules.replace(&with(ListenAddress::Unix("/run/admin.sock".into()), None));
        assert_eq!(status(rules.now().change(&head(&json))), 403);
    }

    #[test]
    fn reading_can_be_closed_too() {
        let asked = head(&[("host", "localhost")]);
        let right = head(&[("host", "localhost"), ("authorization", &format!("Bearer {TOKEN}"))]);
        let (open, closed) = (access(true, false, false), access(true, true, false));
        assert_eq!((status(open.read(&asked)), status(open.metrics(&asked))), (200, 200));
        assert_eq!((status(closed.read(&asked)), status(closed.metrics(&asked))), (401, 401));
        assert_eq!(status(closed.page(&asked)), 200, "the page holds no state");
        assert_eq!((status(closed.read(&right)), status(closed.metrics(&right))), (200, 200));
    }
}
