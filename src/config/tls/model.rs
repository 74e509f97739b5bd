//! `tls` toward a server.

use std::path::PathBuf;

/// `tls`: TLS toward an upstream or token endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// PEM file of CA certificates that replace those of the machine.
    pub ca_file: Option<PathBuf>,
    /// `cert_file` and `key_file`: the client certificate (mTLS).
    pub client: Option<ClientCertificate>,
    /// The name to send (SNI) and to verify, instead of the host of the URL.
    pub server_name: Option<String>,
    /// The lowest version that is allowed.
    pub min_version: TlsVersion,
    /// Whether any certificate is accepted for any name: any server that answers receives the credential.
    pub insecure_skip_verify: bool,
}

/// A client certificate: PEM files of the chain, leaf first, and of the leaf's key. Both may be the same
/// file.
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
    /// RFC 5246; older versions are never used.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}
