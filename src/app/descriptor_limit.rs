//! The limit on open files, and the number of connections that it allows. Shells and service managers start programs with a
//! soft limit of 1024, because some programs cannot handle descriptors above that; the hard limit is usually much higher.
//!
//! Without a free descriptor a connection waits unanswered, and so does a probe of the admin listener. If the limit is too low
//! for `max_connections`, the number of connections is therefore kept below it: one too many gets an error response.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// Descriptors for Sidekey's own use: logs, event loops, the admin listener, token requests, files being read.
const OWN_DESCRIPTORS: u64 = 100;
/// The share of a small limit that they are at most.
const OWN_SHARE: u64 = 4;
/// One descriptor in this many is reserved for upstreams at most: a caller that is waiting for a response needs a second one, for
/// the connection to the upstream.
const MAX_UPSTREAM_SHARE: u64 = 2;
/// One in this many at least. Idle callers, which are most of a large number, need no second one.
const MIN_UPSTREAM_SHARE: u64 = 8;
/// The number that is reserved between the two.
const UPSTREAM_DESCRIPTORS: u64 = 1024;

/// One in this many of Sidekey's own descriptors is for connections to the admin listener.
const ADMIN_SHARE: u64 = 3;
/// Number of connections to the admin listener, however low the limit is: probes, a scraper, a page.
const MIN_ADMIN_CONNECTIONS: usize = 4;

/// Raises the soft limit on open files to the hard limit.
pub fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit on open files: {error}");
    }
}

/// The number of connections accepted at a time: `max_connections`, or what the limit on open files allows. Logs a warning if
/// that is less.
pub(super) fn max_connections(config: &Config) -> usize {
    let configured = config.max_connections;
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return configured };
    let dedicated: usize = config.services.iter().map(|service| service.listen.len()).sum();
    let listeners = (config.listen.len() + dedicated).saturating_mul(config.threads + 1);
    let available = available(limit, listeners as u64);
    let Some(available) = usize::try_from(available).ok().filter(|available| *available < configured) else {
        return configured;
    };
    tracing::warn!(
        files.limit = limit,
        connections.configured = configured,
        connections.limit = available,
        "the limit on open files (ulimit -Hn, LimitNOFILE) is too low for `max_connections`: callers get {available} connections; \
         raise the limit, or lower `max_connections`"
    );
    available
}

/// The number of connections that the admin listener accepts at a time, out of the descriptors for Sidekey's
/// own use: callers of the proxy cannot use them up, and they leave the others alone.
pub(super) fn max_admin_connections() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(limit, _)| limit);
    admin_share(limit)
}

fn admin_share(limit: u64) -> usize {
    let own = OWN_DESCRIPTORS.min(limit / OWN_SHARE);
    usize::try_from(own / ADMIN_SHARE).unwrap_or(usize::MAX).max(MIN_ADMIN_CONNECTIONS)
}

/// The descriptors that a limit leaves for connections of callers.
fn available(limit: u64, listeners: u64) -> u64 {
    let own = OWN_DESCRIPTORS.min(limit / OWN_SHARE).saturating_add(listeners);
    let left = limit.saturating_sub(own);
    let reserve = UPSTREAM_DESCRIPTORS.max(left / MIN_UPSTREAM_SHARE).min(left / MAX_UPSTREAM_SHARE);
    (left - reserve).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_descriptors_leave_a_reserve() {
        assert_eq!(available(1024, 4), (1024 - 104) / 2);
        assert_eq!(available(4096, 4), 4096 - 104 - 1024);
        assert_eq!(available(16_104, 4), 14_000);
        assert_eq!((available(120, 4), available(8, 4), available(0, 4)), (43, 1, 1));
        assert!(available(u64::MAX, 4) > u64::MAX / 2);
    }

    #[test]
    fn admin_connections_are_a_share_of_the_reserve() {
        assert_eq!([u64::MAX, 20_000, 300, 120, 10].map(admin_share), [33, 33, 25, 10, 4]);
    }
}
