//! TLS toward callers: the certificate of a listener. It is replaced when its files change; open connections
//! continue.

use std::sync::Arc;

use rustls::ServerConfig;

use super::reloadable::{Reloadable, Reloaded};
use crate::config::{ListenAddress, ListenerTlsConfig};
use crate::proto::http2;

/// The TLS of one listener.
pub struct ListenerTls {
    config: ListenerTlsConfig,
    server: Reloadable<ServerConfig>,
}

/// The error of a certificate, key or client CA that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ListenerTlsError(String);

impl ListenerTls {
    /// Reads the files, and builds the configuration.
    pub fn new(config: ListenerTlsConfig) -> Result<Self, ListenerTlsError> {
        let server = Reloadable::new(config.read(), |files| config.server(files).map(with_alpn));
        Ok(Self { server: server.map_err(ListenerTlsError)?, config })
    }

    /// The configuration for the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.server.current()
    }

    /// Reads the files again; `None` if they have not changed. Files that cannot be used change nothing.
    pub fn reload(&self, address: &ListenAddress) -> Option<Reloaded> {
        let server = |files: &_| self.config.server(files).map(with_alpn);
        self.server.reload(&format!("listener {address}"), self.config.read(), server)
    }
}

fn with_alpn(mut server: ServerConfig) -> ServerConfig {
    server.alpn_protocols = http2::alpn_protocols();
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mismatched_pair_keeps_old_certificate_and_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let pair = || rcgen::generate_simple_self_signed(["proxy.example".to_owned()]).unwrap();
        let (old, new) = (pair(), pair());
        write("cert.pem", &old.cert.pem());
        write("key.pem", &old.signing_key.serialize_pem());
        let config = ListenerTlsConfig {
            cert_file: dir.path().join("cert.pem"),
            key_file: dir.path().join("key.pem"),
            client_ca_file: None,
        };
        let server = ListenerTls::new(config).unwrap();
        let address = ListenAddress::Tcp(([127, 0, 0, 1], 8443).into());
        let reload = || server.reload(&address).map(|reloaded| reloaded.result);
        let first = server.current();
        assert_eq!(reload(), None);

        write("cert.pem", &new.cert.pem());
        let Some(Err(error)) = reload() else { panic!("a certificate with another's key") };
        assert!(error.contains("does not match the certificate"), "{error}");
        assert!(Arc::ptr_eq(&first, &server.current()));

        std::fs::remove_file(dir.path().join("key.pem")).unwrap();
        assert!(matches!(reload(), Some(Err(_))));
        assert!(Arc::ptr_eq(&first, &server.current()));

        write("key.pem", &new.signing_key.serialize_pem());
        assert_eq!(reload(), Some(Ok(())));
        assert!(!Arc::ptr_eq(&first, &server.current()));
    }
}
