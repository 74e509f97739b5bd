//! How many files and sockets the process may have open. Shells and service managers start programs with 1024, for the sake of
//! some that cannot do with more; what the process may raise it to is usually much more.
//!
//! A caller that finds no descriptor left waits unanswered, and so does a probe of the admin listener. Callers are therefore
//! held to less than the limit, where it is low: one more gets an answer that says so.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// Of Sidekey's own: logs, event loops, the admin listener, secret files being read.
const OWN: u64 = 100;
/// One in so many is for connections to upstreams. Callers that are idle, which are most of a large number, need none.
const UPSTREAM_SHARE: u64 = 8;

/// Raises the limit as far as it goes.
pub fn raise_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit on open files: {error}");
    }
}

/// How many callers there may be: `max_connections`, or what the limit on open files leaves room for. Says so where that is less.
pub(super) fn callers(config: &Config) -> usize {
    let wanted = config.max_connections;
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    let own: usize = config.services.iter().map(|service| service.listen.len()).sum();
    let listeners = (config.listen.len() + own).saturating_mul(config.threads + 1);
    let room = room(limit, listeners as u64);
    let Some(room) = usize::try_from(room).ok().filter(|room| *room < wanted) else { return wanted };
    tracing::warn!(
        files.limit = limit,
        connections.wanted = wanted,
        connections.most = room,
        "the limit on open files (ulimit -Hn, LimitNOFILE) is too low for `max_connections`: callers are held to {room} \
         connections; raise the one, or lower the other"
    );
    room
}

/// What a limit leaves to callers: never less than half of it.
fn room(limit: u64, listeners: u64) -> u64 {
    let reserve = (limit / UPSTREAM_SHARE).saturating_add(OWN).saturating_add(listeners);
    limit - reserve.min(limit / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_leave_something_over() {
        assert_eq!(room(1024, 3), 1024 - 128 - 103);
        assert_eq!(room(20_000, 3), 17_397);
        assert_eq!((room(120, 3), room(2, 3), room(0, 3)), (60, 1, 0));
        assert!(room(u64::MAX, 3) > u64::MAX / 2);
    }
}
