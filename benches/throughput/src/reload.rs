//! Changes Sidekey's configuration while it is under load: a service comes and goes twice a second.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const EXTRA: &str = "  extra: { upstream: 'http://127.0.0.1:9', auth: { type: bearer, token: extra } }\n";

/// Goes on until it is dropped.
pub struct Reloading {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reloading {
    pub fn start(dir: &Path, process: u32) -> anyhow::Result<Self> {
        let path = dir.join(format!("{}.yaml", crate::proxies::RELOADED));
        let with_it = std::fs::read_to_string(&path)?.replace(EXTRA, "");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            for round in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let text = if round % 2 == 0 { with_it.clone() + EXTRA } else { with_it.clone() };
                if replace(&path, &text).is_err()
                    || kill(Pid::from_raw(process.cast_signed()), Signal::SIGHUP).is_err()
                {
                    return;
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// As editors and Kubernetes do: a new file in the place of the old.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let new = PathBuf::from(format!("{}.new", path.display()));
    std::fs::write(&new, text)?;
    std::fs::rename(new, path)
}
