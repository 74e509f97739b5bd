//! One entry under `services`.

use std::collections::HashMap;
use std::time::Duration;

use super::{host, protocol, upstream, upstream_url};
use crate::config::auth::Credentials;
use crate::config::listen::address::Claims;
use crate::config::listen::listener;
use crate::config::reader::duration;
use crate::config::reader::mapping::Table;
use crate::config::reader::value::Item;
use crate::config::tls::client;
use crate::config::{Auth, Service, Timeouts, Tls, auth};

const TOKEN_WAIT: Duration = Duration::from_secs(5);

/// What services share and may not have twice.
pub(crate) struct Shared<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) claims: Claims,
    /// Host name to the path and line that has it.
    pub(crate) hosts: HashMap<String, String>,
}

/// Reads every service, in the order of the file.
pub(crate) fn read_all(item: &Item<'_>, shared: &mut Shared<'_>) -> Option<Vec<Service>> {
    let entries = item.entries()?;
    if entries.is_empty() {
        item.mistake("at least one service is required");
        return None;
    }
    let services: Vec<_> = entries.iter().map(|(name, item)| read(name, item, shared)).collect();
    services.into_iter().collect()
}

fn read(name: &str, item: &Item<'_>, shared: &mut Shared<'_>) -> Option<Service> {
    if !is_name(name) {
        item.mistake(
            "a service's name is letters, digits and `_.-`, begins with a letter or digit, \
             and has 63 characters at most",
        );
    }
    let mut table = item.table()?;
    // Asked for in the order in which they are listed to the operator.
    let upstream = table.required("upstream");
    let auth = table.required("auth").and_then(|item| auth::read(&item, &mut shared.credentials));
    let hosts = table.optional("hosts").map_or_else(Vec::new, |item| hosts(&item, shared));
    let listen =
        table.optional("listen").map_or_else(Vec::new, |item| listener::read_all(&item, &mut shared.claims));
    let tls = table.optional("tls");
    let protocol = table.optional("protocol").and_then(|item| protocol::read(&item)).unwrap_or_default();
    let timeouts = timeouts(&mut table);
    let token_wait = table.optional("token_wait").and_then(|item| duration::any(&item)).unwrap_or(TOKEN_WAIT);
    let rewrite_location = table.optional("rewrite_location").and_then(|item| item.boolean()).unwrap_or(true);
    let replay = table.optional("replay_on_401");
    let replay_on_401 = replay.as_ref().and_then(Item::boolean).unwrap_or(true);
    if let Some(item) = replay.filter(|_| !replay_on_401 && auth.as_ref().is_some_and(Auth::has_previous)) {
        item.mistake(
            "`previous` in `auth` is for sending a request once more after a 401; leave out one of the two",
        );
    }
    let optional = table.optional("optional").and_then(|item| item.boolean()).unwrap_or_default();
    let plaintext = table.optional("allow_plaintext").and_then(|item| item.boolean()).unwrap_or_default();
    let rules = upstream_url::Rules { plaintext, query: false };
    let upstreams = upstream.map_or_else(Vec::new, |item| upstream::upstreams(&item, &rules));
    let is_https = upstreams.iter().map(|to| to.tls).reduce(|all, next| all && next);
    let tls = tls.map_or_else(Tls::default, |item| client::read(&item, is_https));
    let options = upstream::read(&mut table, &upstreams);
    table.finish();
    Some(Service {
        name: name.to_owned(),
        upstream: upstreams.into_iter().next()?,
        hosts,
        listen,
        auth: auth?,
        tls,
        protocol,
        timeouts,
        options,
        token_wait,
        rewrite_location,
        replay_on_401,
        optional,
    })
}

/// A path segment that needs no encoding and cannot be `.` or `..`.
fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Host names that lead to this service and to no other.
fn hosts(item: &Item<'_>, shared: &mut Shared<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for item in item.list().unwrap_or_default() {
        let Some(host) = item.parse(|text| host::parse(text).map(|host| host.to_string())) else { continue };
        if let Some(other) = shared.hosts.get(&host) {
            item.mistake(format!("the same host as {other}; a host leads to one service"));
            continue;
        }
        shared.hosts.insert(host.clone(), format!("`{}` on line {}", item.path(), item.line()));
        hosts.push(host);
    }
    hosts
}

fn timeouts(table: &mut Table<'_>) -> Timeouts {
    let default = Timeouts::default();
    let Some(mut table) = table.optional("timeouts").and_then(|item| item.table()) else { return default };
    let mut limit = |key| table.optional(key).and_then(|item| duration::positive(&item));
    let timeouts = Timeouts {
        connect: limit("connect").unwrap_or(default.connect),
        first_byte: limit("first_byte").unwrap_or(default.first_byte),
        idle: limit("idle").unwrap_or(default.idle),
        total: limit("total"),
        tunnel_idle: limit("tunnel_idle"),
    };
    table.finish();
    timeouts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_is_a_path_segment() {
        for name in ["billing", "7", "a.b_c-d", "A", "x".repeat(63).as_str()] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "-a", "_a", "a/b", "a b", "é", "x".repeat(64).as_str()] {
            assert!(!is_name(name), "{name}");
        }
    }
}
