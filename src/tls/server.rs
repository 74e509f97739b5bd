//! TLS toward callers: a listener's certificate, replaced under running connections when its files change.

use std::sync::Arc;

use rustls::ServerConfig;

use super::reloadable::{Renewable, Renewal};
use crate::config::{CallerTls, Listen};
use crate::proto::http2;

/// One listener's TLS.
pub struct CallerTlsServer {
    config: CallerTls,
    made: Renewable<ServerConfig>,
}

/// A certificate, key or `client_ca` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallerTlsError(String);

impl CallerTlsServer {
    /// Reads the files.
    pub fn new(config: CallerTls) -> Result<Self, CallerTlsError> {
        let made = Renewable::new(config.read(), |files| config.server(files).map(offering));
        Ok(Self { made: made.map_err(CallerTlsError)?, config })
    }

    /// For the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.made.current()
    }

    /// Looks at the files; `None` where they hold what is in use. What cannot be used leaves the certificate in use.
    pub fn renew(&self, address: &Listen) -> Option<Renewal> {
        let server = |files: &_| self.config.server(files).map(offering);
        self.made.renew(&format!("listener {address}"), self.config.read(), server)
    }
}

fn offering(mut server: ServerConfig) -> ServerConfig {
    server.alpn_protocols = http2::offered();
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_does_not_fit_leaves_the_old_one_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let pair = || rcgen::generate_simple_self_signed(["proxy.example".to_owned()]).unwrap();
        let (old, new) = (pair(), pair());
        write("cert.pem", &old.cert.pem());
        write("key.pem", &old.signing_key.serialize_pem());
        let config =
            CallerTls { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem"), client_ca: None };
        let server = CallerTlsServer::new(config).unwrap();
        let address = Listen::Tcp(([127, 0, 0, 1], 8443).into());
        let look = || server.renew(&address).map(|renewal| renewal.outcome);
        let first = server.current();
        assert_eq!(look(), None);

        write("cert.pem", &new.cert.pem());
        let Some(Err(error)) = look() else { panic!("a certificate with another's key") };
        assert!(error.contains("not the one of the certificate"), "{error}");
        assert!(Arc::ptr_eq(&first, &server.current()));

        std::fs::remove_file(dir.path().join("key.pem")).unwrap();
        assert!(matches!(look(), Some(Err(_))));
        assert!(Arc::ptr_eq(&first, &server.current()));

        write("key.pem", &new.signing_key.serialize_pem());
        assert_eq!(look(), Some(Ok(())));
        assert!(!Arc::ptr_eq(&first, &server.current()));
    }
}
