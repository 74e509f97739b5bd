//! When certificates end.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{GaugeVec, Opts, Registry};

/// The series of certificate files.
#[derive(Clone)]
pub struct CertificateMetrics {
    expiry: GaugeVec,
    shown: Arc<Mutex<HashSet<String>>>,
}

impl CertificateMetrics {
    /// Registers the series.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let expiry = GaugeVec::new(
            Opts::new(
                "sidekey_certificate_expiry_timestamp_seconds",
                "When the first certificate of a file that Sidekey shows to others ends (Unix time).",
            ),
            &["file"],
        )?;
        registry.register(Box::new(expiry.clone()))?;
        Ok(Self { expiry, shown: Arc::default() })
    }

    /// Takes file to end, in seconds of Unix time; series of other files end.
    pub fn set(&self, ends: &BTreeMap<String, f64>) {
        let mut shown = self.shown.lock();
        for gone in shown.iter().filter(|file| !ends.contains_key(*file)) {
            let _ = self.expiry.remove_label_values(&[gone]);
        }
        for (file, end) in ends {
            self.expiry.with_label_values(&[file]).set(*end);
        }
        *shown = ends.keys().cloned().collect();
    }
}
