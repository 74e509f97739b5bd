//! What became of changed certificate files: each thing that is wrong is said once and remembered until it is good again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::{Failing, Status, Target};
use crate::metrics::ReloadMetrics;
use crate::tls::reloadable::Reloaded;

/// Certificate files as of the last look.
pub(super) struct Certificates {
    status: Arc<Mutex<Status>>,
    metrics: ReloadMetrics,
    /// What they are for, and why they cannot be used.
    wrong: BTreeMap<String, String>,
}

impl Certificates {
    pub(super) fn new(status: Arc<Mutex<Status>>, metrics: ReloadMetrics) -> Self {
        Self { status, metrics, wrong: BTreeMap::new() }
    }

    /// Whether some could not be used at the last look: they are to be looked at again, changed or not.
    pub(super) fn are_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// Looks at all that are in use, off the event loop; returns what has new ones.
    pub(super) async fn renew(&mut self, target: &Arc<dyn Target>) -> Vec<String> {
        let target = target.clone();
        let look = move || target.reload_certificates();
        let looked = tokio::task::spawn_blocking(look).await.expect("looking at files does not panic");
        self.note(looked)
    }

    fn note(&mut self, looked: Vec<Reloaded>) -> Vec<String> {
        let (mut wrong, mut renewed) = (BTreeMap::new(), Vec::new());
        for Reloaded { what: of, result } in looked {
            match result {
                Ok(()) => {
                    self.metrics.certificates_reloaded(true);
                    tracing::info!(
                        certificates.of = of,
                        "new certificate files are in use from the next connection on"
                    );
                    self.wrong.remove(&of);
                    renewed.push(of);
                }
                Err(error) => {
                    if self.wrong.get(&of) != Some(&error) {
                        self.metrics.certificates_reloaded(false);
                        tracing::error!(
                            certificates.of = of,
                            "certificate reload rejected, the previous files stay in use and the changed ones are tried again: {error}"
                        );
                    }
                    wrong.insert(of, error);
                }
            }
        }
        for of in self.wrong.keys().filter(|of| !wrong.contains_key(*of)) {
            tracing::info!(certificates.of = of, "certificate files are valid again or no longer used");
        }
        self.wrong = wrong;
        self.metrics.certificates_in_use(self.wrong.is_empty());
        let mut status = self.status.lock();
        let since = status.certificates.take().map_or_else(SystemTime::now, |failing| failing.since);
        status.certificates = self.are_wrong().then(|| Failing { error: self.text(), since });
        renewed
    }

    /// One line for each.
    fn text(&self) -> String {
        let lines = self.wrong.iter().map(|(of, error)| format!("{of}: {error}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_is_wrong_counts_once_and_is_remembered_until_it_is_good() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap().reload();
        let status = Status { last_success: SystemTime::now(), failing: None, certificates: None };
        let status = Arc::new(Mutex::new(status));
        let mut certificates = Certificates::new(status.clone(), metrics);
        let look = |what: &str, result: Result<(), &str>| Reloaded {
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
            assert!(certificates.note(vec![look("a", Err("no PEM")), look("b", Err("no key"))]).is_empty());
        }
        assert_eq!(shown(), ["0", "2", "0"]);
        let first = failing().unwrap();
        assert_eq!(first.error, "a: no PEM\nb: no key");
        assert_eq!(certificates.note(vec![look("a", Err("no PEM")), look("b", Ok(()))]), ["b"]);
        let next = failing().unwrap();
        assert_eq!((next.error.as_str(), next.since), ("a: no PEM", first.since));
        assert_eq!(shown(), ["1", "2", "0"]);
        // As it was before.
        assert!(certificates.note(Vec::new()).is_empty());
        assert!(failing().is_none() && !certificates.are_wrong());
        assert_eq!(shown(), ["1", "2", "1"]);
    }
}
