//! TLS toward callers: a listener's certificate, replaced under running connections when its files change.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;

use crate::config::{CallerTls, CallerTlsFiles};

/// How often the files are looked at. By content: a mounted secret changes by a symbolic link, of which nothing tells.
const LOOK: Duration = Duration::from_secs(2);

/// What is offered by ALPN (RFC 7301), best first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// One listener's TLS.
pub struct CallerTlsServer {
    config: CallerTls,
    current: ArcSwap<ServerConfig>,
    /// What the files held at the last look, usable or not.
    seen: Mutex<Result<CallerTlsFiles, String>>,
}

/// A certificate, key or `client_ca` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallerTlsError(String);

impl CallerTlsServer {
    /// Reads the files.
    pub fn new(config: CallerTls) -> Result<Self, CallerTlsError> {
        let files = config.read().map_err(CallerTlsError)?;
        let server = offering(config.server(&files).map_err(CallerTlsError)?);
        Ok(Self { config, current: ArcSwap::from_pointee(server), seen: Mutex::new(Ok(files)) })
    }

    /// For the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Looks at the files; `None` where they are as they were. What cannot be used leaves the certificate in use.
    pub fn look(&self) -> Option<Result<(), CallerTlsError>> {
        let files = self.config.read();
        let mut seen = self.seen.lock();
        if *seen == files {
            return None;
        }
        let server = files.as_ref().map_err(Clone::clone).and_then(|files| self.config.server(files));
        *seen = files;
        Some(server.map(|server| self.current.store(Arc::new(offering(server)))).map_err(CallerTlsError))
    }

    /// Looks again and again as long as there is a listener, and says what it finds.
    pub async fn watch(server: Weak<Self>, listener: String) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(server) = server.upgrade() else { return };
            match server.look() {
                None => {}
                Some(Ok(())) => {
                    tracing::info!(listener.address = listener, "the listener's certificate was replaced");
                }
                Some(Err(error)) => {
                    tracing::error!(
                        listener.address = listener,
                        "the listener's new certificate cannot be used, the old one stays in use: {error}"
                    );
                }
            }
        }
    }
}

fn offering(mut server: ServerConfig) -> ServerConfig {
    server.alpn_protocols = PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_does_not_fit_leaves_the_old_one_and_is_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let pair = || rcgen::generate_simple_self_signed(["proxy.example".to_owned()]).unwrap();
        let (old, new) = (pair(), pair());
        write("cert.pem", &old.cert.pem());
        write("key.pem", &old.signing_key.serialize_pem());
        let config =
            CallerTls { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem"), client_ca: None };
        let server = CallerTlsServer::new(config).unwrap();
        let first = server.current();
        assert!(server.look().is_none());

        write("cert.pem", &new.cert.pem());
        let Some(Err(error)) = server.look() else { panic!("a certificate with another's key") };
        assert!(error.to_string().contains("not the one of the certificate"), "{error}");
        assert!(server.look().is_none() && Arc::ptr_eq(&first, &server.current()));

        std::fs::remove_file(dir.path().join("key.pem")).unwrap();
        assert!(matches!(server.look(), Some(Err(_))));
        assert!(server.look().is_none() && Arc::ptr_eq(&first, &server.current()));

        write("key.pem", &new.signing_key.serialize_pem());
        assert!(matches!(server.look(), Some(Ok(()))));
        assert!(!Arc::ptr_eq(&first, &server.current()));
    }
}
