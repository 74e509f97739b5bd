//! A time limit for work on a file. A file system that does not answer, such as a network file system whose
//! server is gone, may hold a thread without end: the thread is left behind, and the caller continues.
//!
//! A thread that has done its work does the next one, for a while: a configuration with a thousand files starts no thousand threads.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

/// Time limit for work on one file.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// Time limit if work on another file of the same folder hangs, so that a folder with many files does not cost
/// the whole limit for each.
const TIME_LIMIT_BESIDE: Duration = Duration::from_millis(250);
/// Stack of a thread that works on a file; the content is on the heap.
const STACK_BYTES: usize = 128 * 1024;

/// How long a thread without work stays.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// The limit on threads without work.
const MAX_IDLE: usize = 2;

type Work = Box<dyn FnOnce() + Send>;

/// The threads without work.
static IDLE: Mutex<Vec<mpsc::SyncSender<Work>>> = Mutex::new(Vec::new());

/// The files on which work has not ended within its time limit, nor since then. Only one thread for each is left
/// behind, however often the file is tried.
static HANGING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Does work on a file on a thread of its own and waits for the end, at most until the time limit. Fails at once
/// if earlier work on the same file still hangs.
pub fn in_time<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> io::Result<T> {
    let is_beside = |other: &PathBuf| other.parent() == path.parent();
    let limit = if HANGING.lock().iter().any(is_beside) { TIME_LIMIT_BESIDE } else { TIME_LIMIT };
    within(path, limit, work)
}

fn within<T: Send + 'static>(
    path: &Path,
    limit: Duration,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> io::Result<T> {
    if HANGING.lock().contains(path) {
        return Err(timed_out("the file system has not answered an earlier attempt yet"));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let of_thread = path.to_owned();
    on_a_thread(Box::new(move || {
        let done = work(&of_thread);
        let mut hanging = HANGING.lock();
        // The caller has stopped waiting.
        if sender.send(done).is_err() {
            hanging.remove(&of_thread);
        }
    }))?;
    match receiver.recv_timeout(limit) {
        Ok(done) => Ok(done),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("reading it failed")),
        Err(RecvTimeoutError::Timeout) => {
            // Under the lock: the thread sends under it, so that it has sent by now or finds the receiver dropped.
            let mut hanging = HANGING.lock();
            if let Ok(done) = receiver.try_recv() {
                return Ok(done);
            }
            hanging.insert(path.to_owned());
            drop(receiver);
            Err(timed_out(&format!("the file system has not answered within {limit:?}")))
        }
    }
}

/// Does work on a thread without work, or on a new one.
fn on_a_thread(mut work: Work) -> io::Result<()> {
    loop {
        let Some(idle) = IDLE.lock().pop() else { break };
        match idle.send(work) {
            Ok(()) => return Ok(()),
            // It has just ended.
            Err(mpsc::SendError(rejected)) => work = rejected,
        }
    }
    let thread = thread::Builder::new().name("sidekey-file".into()).stack_size(STACK_BYTES);
    thread.spawn(move || do_all(work)).map(drop)
}

/// Does work, and what else comes until none has come for a while. A panic ends the thread, and with it no other work.
fn do_all(first: Work) {
    let mut work = first;
    loop {
        work();
        // Without a buffer: what was sent was received, and a thread that ends loses none.
        let (sender, receiver) = mpsc::sync_channel(0);
        {
            let mut idle = IDLE.lock();
            if idle.len() >= MAX_IDLE {
                return;
            }
            idle.push(sender);
        }
        match receiver.recv_timeout(IDLE_TIMEOUT) {
            Ok(next) => work = next,
            Err(_) => return,
        }
    }
}

fn timed_out(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn hanging_work_fails_within_the_limit_and_at_once_after() {
        let path = Path::new("/in-time-test/hangs");
        let (release, released) = mpsc::channel::<()>();
        let hang = within(path, Duration::from_millis(1), move |_| released.recv().is_ok());
        assert_eq!(hang.unwrap_err().to_string(), "the file system has not answered within 1ms");
        let again = in_time(path, |_| panic!("no second thread")).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::TimedOut);
        assert_eq!(in_time(Path::new("/in-time-test/other"), |_| 7).unwrap(), 7);
        release.send(()).unwrap();
        while HANGING.lock().contains(path) {
            thread::yield_now();
        }
        assert_eq!(in_time(path, |_| 7).unwrap(), 7, "the file system answers again");
    }

    #[test]
    fn thread_that_has_done_its_work_does_more() {
        let path = Path::new("/in-time-test/many");
        let threads: BTreeSet<String> =
            (0..200).map(|_| in_time(path, |_| format!("{:?}", thread::current().id())).unwrap()).collect();
        assert!(threads.len() < 100, "{}", threads.len());
    }

    #[test]
    fn work_gets_the_path_and_a_panic_is_an_error() {
        let path = Path::new("/in-time-test/path");
        assert_eq!(in_time(path, Path::to_owned).unwrap(), path);
        assert!(in_time(path, |_| -> u8 { panic!("a fault in the work, expected by this test") }).is_err());
    }
}
