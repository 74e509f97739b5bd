//! Runs a request where the configuration is read, which is no place for asynchronous code.

use std::io;
use std::thread;

/// Runs a future to its end on a thread of its own, which ends with it, and waits. The future has a time limit.
///
/// The thread has a runtime of its own, because the caller may be a thread of another one. Nothing of it is left behind: what
/// must happen before there are threads can happen after this.
pub(super) fn run<T: Send>(work: impl Future<Output = T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("sidekey-store".into());
        let thread = thread.spawn_scoped(scope, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let done = runtime.block_on(work);
            // A look-up of a name may hang.
            runtime.shutdown_background();
            Ok(done)
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a fault in Sidekey")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn future_runs_inside_and_outside_of_a_runtime() {
        let work = || async { tokio::time::sleep(std::time::Duration::from_millis(1)).await };
        run(work()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { run(work()).unwrap() });
        let fault = async { panic!("a fault in the work, expected by this test") };
        assert!(run::<()>(fault).is_err());
    }
}
