//! Whether the webhook can answer the API server.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the webhook can answer the API server, apart from its certificate.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// The API server has been told to trust the certificate, or cert-manager does that.
    trusted: AtomicBool,
    /// The shape of the sidecars is known.
    shape_known: AtomicBool,
    /// The process shuts down.
    stopping: AtomicBool,
}

impl Readiness {
    /// The API server trusts the certificate.
    pub(super) fn certificate_is_trusted(&self) {
        self.trusted.store(true, Ordering::Relaxed);
    }

    /// The shape of the sidecars is known.
    pub(super) fn shape_is_known(&self) {
        self.shape_known.store(true, Ordering::Relaxed);
    }

    /// The process shuts down.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the process shuts down.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Why it is not ready; `None` if it is. `is_valid`: there is a certificate that has not expired.
    pub(super) fn problem(&self, is_valid: bool) -> Option<&'static str> {
        if self.is_stopping() {
            Some("shutting down")
        } else if !is_valid {
            Some("no valid certificate")
        } else if !self.trusted.load(Ordering::Relaxed) {
            Some("the API server has not been told to trust the certificate")
        } else if !self.shape_known.load(Ordering::Relaxed) {
            Some("the version of the cluster is not known")
        } else {
            None
        }
    }
}
