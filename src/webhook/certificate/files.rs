//! A certificate in files, which something else replaces, such as cert-manager.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::serving::Serving;
use crate::config::{ListenerTlsConfig, ListenerTlsFiles};
use crate::metrics::WebhookMetrics;
use crate::secret::read_pem_file;
use crate::tls::expiry::not_after;
use crate::tls::reloadable::Reloadable;

/// How often the files are read.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Largest file with certificates, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The files of a certificate.
pub(in crate::webhook) struct CertificateFiles {
    config: ListenerTlsConfig,
    tls: Arc<Reloadable<ServerConfig>>,
}

impl CertificateFiles {
    /// Reads the files. The error names the one that cannot be used.
    pub(in crate::webhook) fn new(config: ListenerTlsConfig, serving: &Serving) -> Result<Self, String> {
        let tls = Arc::new(Reloadable::new(config.read(), |files: &ListenerTlsFiles| config.server(files))?);
        let files = Self { config, tls };
        files.present(serving);
        Ok(files)
    }

    /// Presents what the files contain, whenever they change. Files that cannot be used change nothing.
    pub(in crate::webhook) async fn follow(self, serving: Arc<Serving>, metrics: WebhookMetrics) {
        let mut last_error = None;
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let (config, tls) = (self.config.clone(), self.tls.clone());
            // Disks can be slow, and network file systems can hang.
            let reading = tokio::task::spawn_blocking(move || {
                tls.reload("webhook", config.read(), |files: &ListenerTlsFiles| config.server(files))
            });
            let Some(reloaded) = reading.await.ok().flatten() else {
                last_error = None;
                continue;
            };
            match reloaded.result {
                Ok(()) => {
                    self.present(&serving);
                    metrics.certificate_checked(true);
                    tracing::info!("the webhook presents the new certificate of its files");
                    last_error = None;
                }
                Err(error) => {
                    metrics.certificate_checked(false);
                    if last_error.as_ref() != Some(&error) {
                        tracing::error!(
                            error,
                            "the webhook's new certificate cannot be used; it presents the previous one"
                        );
                    }
                    last_error = Some(error);
                }
            }
        }
    }

    fn present(&self, serving: &Serving) {
        let end = read_pem_file(&self.config.cert_file, MAX_BYTES).ok().and_then(|pem| {
            let seconds = not_after(&CertificateDer::from_pem_slice(&pem).ok()?)?;
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds))
        });
        serving.present((*self.tls.current()).clone(), end);
    }
}
