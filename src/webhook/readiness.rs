//! Whether the webhook can answer the API server.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the webhook can answer the API server, apart from its certificate.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// The API server has been told to trust the certificate, or somebody else does that.
    is_trusted: AtomicBool,
    /// The shape of the sidecars is known.
    is_shape_known: AtomicBool,
    /// The process shuts down.
    is_stopping: AtomicBool,
}

impl Readiness {
    /// The API server trusts the certificate.
    pub(super) fn certificate_is_trusted(&self) {
        self.is_trusted.store(true, Ordering::Relaxed);
    }

    /// The shape of the sidecars is known.
    pub(super) fn shape_is_known(&self) {
        self.is_shape_known.store(true, Ordering::Relaxed);
    }

    /// The process shuts down.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the process shuts down.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Why it is not ready; `None` if it is. `is_valid`: there is a certificate that has not expired.
    pub(super) fn problem(&self, is_valid: bool) -> Option<&'static str> {
        if self.is_stopping() {
            Some("shutting down")
        } else if !is_valid {
            Some("no valid certificate")
        } else if !self.is_trusted.load(Ordering::Relaxed) {
            Some("the API server has not been told to trust the certificate")
        } else if !self.is_shape_known.load(Ordering::Relaxed) {
            Some("the version of the cluster is not known")
        } else {
            None
        }
    }
}
