//! The TLS of the next handshake.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;

use crate::metrics::WebhookMetrics;

/// The TLS of the next handshake. Open connections keep theirs.
pub(in crate::webhook) struct Serving {
    presented: ArcSwapOption<Presented>,
    metrics: WebhookMetrics,
}

struct Presented {
    tls: Arc<ServerConfig>,
    end: Option<SystemTime>,
}

impl Serving {
    /// Presents no certificate yet.
    pub(in crate::webhook) fn new(metrics: WebhookMetrics) -> Arc<Self> {
        Arc::new(Self { presented: ArcSwapOption::empty(), metrics })
    }

    /// Presents a certificate from now on, which expires at `end` if that is known.
    pub(super) fn present(&self, mut tls: ServerConfig, end: Option<SystemTime>) {
        // The server of the webhook has no HTTP/2.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        self.metrics.certificate_ends(end);
        self.presented.store(Some(Arc::new(Presented { tls: Arc::new(tls), end })));
    }

    /// The TLS of the next handshake; `None` as long as there is no certificate.
    pub(in crate::webhook) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.presented.load().as_ref().map(|presented| presented.tls.clone())
    }

    /// Whether there is a certificate that has not expired.
    pub(in crate::webhook) fn is_valid(&self, now: SystemTime) -> bool {
        self.presented.load().as_ref().is_some_and(|presented| presented.end.is_none_or(|end| end > now))
    }
}
