//! `tls` toward a server, as the program uses it.

use std::path::PathBuf;

/// `tls`: TLS toward an upstream or token endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// PEM bundle that replaces the machine's CA roots; read and parsed when the configuration is.
    pub ca_file: Option<PathBuf>,
    /// `cert_file` and `key_file`: who Sidekey is to the other side (mTLS).
    pub client: Option<ClientCertificate>,
    /// Name to send (SNI) and to verify instead of the URL's host.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Any certificate is accepted, for any name: whoever answers gets the credential.
    pub insecure_skip_verify: bool,
}

/// A client certificate: the chain, leaf first, and the leaf's key, in PEM files that may be one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// `cert_file`
    pub cert_file: PathBuf,
    /// `key_file`
    pub key_file: PathBuf,
}

/// `min_version`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// RFC 5246; what is older is not spoken at all.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}
