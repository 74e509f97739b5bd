//! The outcome of reloading certificate files: each failure is logged and counted once, and remembered until it is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::apply::ApplyConfig;
use super::status::{ReloadFailure, ReloadStatus};
use crate::metrics::ReloadMetrics;
use crate::tls::reloadable::Reloaded;

/// The certificate files in use, as of the last reload.
pub(super) struct Certificates {
    status: Arc<Mutex<ReloadStatus>>,
    metrics: ReloadMetrics,
    /// What the files that cannot be used are for, and why they cannot.
    failures: BTreeMap<String, String>,
}

impl Certificates {
    pub(super) fn new(status: Arc<Mutex<ReloadStatus>>, metrics: ReloadMetrics) -> Self {
        Self { status, metrics, failures: BTreeMap::new() }
    }

    /// Whether some files could not be used: they are read again, whether they have changed or not.
    pub(super) fn is_failing(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Reads all files in use again, off the event loop; returns what has new certificates.
    pub(super) async fn reload(&mut self, target: &Arc<dyn ApplyConfig>) -> Vec<String> {
        let target = target.clone();
        let reload = move || target.reload_certificates();
        let reloaded = tokio::task::spawn_blocking(reload).await.expect("reading files does not panic");
        self.record(reloaded)
    }

    fn record(&mut self, all: Vec<Reloaded>) -> Vec<String> {
        let (mut failures, mut reloaded) = (BTreeMap::new(), Vec::new());
        for Reloaded { what: of, result } in all {
            match result {
                Ok(()) => {
                    self.metrics.certificates_reloaded(true);
                    tracing::info!(
                        certificates.of = of,
                        "new certificate files are in use from the next connection on"
                    );
                    self.failures.remove(&of);
                    reloaded.push(of);
                }
                Err(error) => {
                    if self.failures.get(&of) != Some(&error) {
                        self.metrics.certificates_reloaded(false);
                        tracing::error!(
                            certificates.of = of,
                            "certificate reload rejected, the previous files stay in use and the changed ones are tried again: {error}"
                        );
                    }
                    failures.insert(of, error);
                }
            }
        }
        for of in self.failures.keys().filter(|of| !failures.contains_key(*of)) {
            tracing::info!(certificates.of = of, "certificate files are valid again or no longer used");
        }
        self.failures = failures;
        self.metrics.certificates_in_use(self.failures.is_empty());
        let mut status = self.status.lock();
        let since = status.certificates.take().map_or_else(SystemTime::now, |failing| failing.since);
        status.certificates = self.is_failing().then(|| ReloadFailure { error: self.text(), since });
        reloaded
    }

    /// One line for each failure.
    fn text(&self) -> String {
        let lines = self.failures.iter().map(|(of, error)| format!("{of}: {error}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn certificate_failure_counts_once_until_it_is_over() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap().reload();
        let (last_success, stale_secrets) = (SystemTime::now(), Vec::new());
        let status = ReloadStatus { last_success, failing: None, certificates: None, stale_secrets };
        let status = Arc::new(Mutex::new(status));
        let mut certificates = Certificates::new(status.clone(), metrics);
        let reloaded = |what: &str, result: Result<(), &str>| Reloaded {
            what: what.into(),
            result: result.map_err(str::to_owned),
        };
        let shown = || {
            let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            let value = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name)).unwrap();
                line.rsplit(' ').next().unwrap().to_owned()
            };
            [
                "sidekey_certificate_reload_total{result=\"success\"",
                "sidekey_certificate_reload_total{result=\"failure\"",
                "sidekey_certificate_last_reload_successful",
            ]
            .map(value)
        };
        let failing = || status.lock().certificates.clone();
        for _ in 0..3 {
            assert!(
                certificates
                    .record(vec![reloaded("a", Err("no PEM")), reloaded("b", Err("no key"))])
                    .is_empty()
            );
        }
        assert_eq!(shown(), ["0", "2", "0"]);
        let first = failing().unwrap();
        assert_eq!(first.error, "a: no PEM\nb: no key");
        assert_eq!(certificates.record(vec![reloaded("a", Err("no PEM")), reloaded("b", Ok(()))]), ["b"]);
        let next = failing().unwrap();
        assert_eq!((next.error.as_str(), next.since), ("a: no PEM", first.since));
        assert_eq!(shown(), ["1", "2", "0"]);
        // As it was before.
        assert!(certificates.record(Vec::new()).is_empty());
        assert!(failing().is_none() && !certificates.is_failing());
        assert_eq!(shown(), ["1", "2", "1"]);
    }
}
