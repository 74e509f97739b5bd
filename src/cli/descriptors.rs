//! How many files and sockets the process may have open. Shells and service managers start programs with 1024, for the sake of
//! some that cannot do with more; what the process may raise it to is usually much more.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Of Sidekey's own: listeners, logs, event loops, secret files being read.
const OWN: u64 = 100;

/// Raises the limit as far as it goes, and says so where that is not enough for this many connections of callers.
pub(super) fn raise(connections: usize) {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(hard)
    });
    match raised {
        Ok(limit) if limit >= (connections as u64).saturating_add(OWN) => {}
        Ok(limit) => tracing::warn!(
            files.limit = limit,
            connections.most = connections,
            "the limit on open files (ulimit -Hn, LimitNOFILE) is too low for `max_connections`: raise it, or lower that"
        ),
        Err(error) => tracing::warn!("cannot raise the limit on open files: {error}"),
    }
}
