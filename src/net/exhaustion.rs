//! This process or this machine has no file descriptor left, or no memory for another socket. That is no fault of
//! the server that a connection was meant for: it counts against none, and the request is rejected as `overloaded`.
//!
//! For a while afterwards no idle connection is kept, so that descriptors become free.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::Notify;

use super::deadline::{AtomicDeadline, Tick};

/// Time for which no idle connection is kept.
const RELIEF_TIME: Duration = Duration::from_secs(5);
/// One event in the log in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The end of the time for which no idle connection is kept.
static RELIEF_UNTIL: AtomicDeadline = AtomicDeadline::off();
static NEXT_LOG: AtomicDeadline = AtomicDeadline::off();
static RECORDED: Notify = Notify::const_new();

/// Whether an error, or one of its causes, says that a descriptor or the memory for a socket is missing.
pub fn is_exhaustion(error: &(dyn Error + 'static)) -> bool {
    const CODES: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(error) = current.downcast_ref::<io::Error>() {
            let code = error.raw_os_error();
            if code.is_some_and(|code| CODES.iter().any(|errno| errno.raw_os_error() == code)) {
                return true;
            }
            // The source of an I/O error is the source of what it wraps, not the wrapped error itself.
            if error.get_ref().is_some_and(|inner| is_exhaustion(inner)) {
                return true;
            }
        }
        cause = current.source();
    }
    false
}

/// Tries to open a socket; the error if a descriptor or the memory for it is missing.
pub fn current() -> Option<io::Error> {
    let opened = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    opened.err().filter(|error| is_exhaustion(error))
}

/// Records an exhaustion: logs it, and has idle connections closed.
pub fn record(error: &(dyn Error + 'static)) {
    let now = Tick::now();
    RELIEF_UNTIL.set(now + RELIEF_TIME);
    RECORDED.notify_one();
    if NEXT_LOG.try_restart(now, LOG_INTERVAL) {
        tracing::error!(
            "no connection can be opened: {error}; raise the limit on open files (ulimit -Hn, LimitNOFILE), or lower \
             `max_connections`"
        );
    }
}

/// Whether an exhaustion was recorded a moment ago.
pub fn is_recent() -> bool {
    RELIEF_UNTIL.get().is_some_and(|until| {
        let is_recent = Tick::now() < until;
        if !is_recent {
            RELIEF_UNTIL.clear();
        }
        is_recent
    })
}

/// Waits until an exhaustion is recorded.
pub async fn recorded() {
    RECORDED.notified().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhaustion_is_found_among_the_causes() {
        let missing = || io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        assert!(is_exhaustion(&missing()));
        assert!(is_exhaustion(&io::Error::other(missing())));
        assert!(is_exhaustion(&io::Error::other(Box::<dyn Error + Send + Sync>::from(io::Error::other(
            missing()
        )))));
        assert!(!is_exhaustion(&io::Error::from_raw_os_error(Errno::CONNREFUSED.raw_os_error())));
        assert!(!is_exhaustion(&io::Error::other("Too many open files")));
    }
}
