//! The series of certificate files.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{GaugeVec, Opts, Registry};

/// The series of certificate files.
#[derive(Clone)]
pub struct CertificateMetrics {
    expiry: GaugeVec,
    files: Arc<Mutex<HashSet<String>>>,
}

impl CertificateMetrics {
    /// Registers the series.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let expiry = GaugeVec::new(
            Opts::new(
                "sidekey_certificate_expiry_timestamp_seconds",
                "The earliest notAfter of the certificates in a file that Sidekey presents, as Unix time.",
            ),
            &["file"],
        )?;
        registry.register(Box::new(expiry.clone()))?;
        Ok(Self { expiry, files: Arc::default() })
    }

    /// Sets the expiry of each file, in seconds of Unix time, and removes the series of all other files.
    pub fn set(&self, expiries: &BTreeMap<String, f64>) {
        let mut files = self.files.lock();
        for gone in files.iter().filter(|file| !expiries.contains_key(*file)) {
            let _ = self.expiry.remove_label_values(&[gone]);
        }
        for (file, expiry) in expiries {
            self.expiry.with_label_values(&[file]).set(*expiry);
        }
        *files = expiries.keys().cloned().collect();
    }
}
