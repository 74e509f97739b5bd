//! `intercept` and `connect`: how a `CONNECT` is answered. Apps send it if `HTTPS_PROXY` names Sidekey.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::tls::{content, path};
use crate::config::exposure::Content;
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::report::display_path;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::tls::date::rfc3339;
use crate::config::watched_files::FileKind;

/// The keys of `intercept`.
pub(crate) const INTERCEPT: Keys = &[
    Key::required("ca_cert_file", Format::Text, "PEM file: the CA certificate."),
    Key::required("ca_key_file", Format::Text, "PEM file: its private key."),
];

/// The keys of `connect`.
pub(crate) const CONNECT: Keys = &[
    Key::optional(
        "unmatched",
        Format::Words(&UNMATCHED),
        "How a `CONNECT` to a host of no service is answered.",
    )
    .or("deny"),
    Key::optional("connect_timeout", DURATION, "Limit on resolving the host and connecting to it.").or("5s"),
    Key::optional("idle_timeout", DURATION, "A tunnel is closed after this time without traffic.").or("1h"),
    Key::optional("allow_local", Format::Bool, "Tunnels may lead to this machine and its link.").or("false"),
];

/// `unmatched`: whether it is a tunnel.
const UNMATCHED: [(&str, bool); 2] = [("deny", false), ("tunnel", true)];

/// `intercept`: the CA whose certificates callers see instead of those of a service's upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intercept {
    /// PEM file of its certificate.
    pub ca_cert_file: PathBuf,
    /// Its private key.
    pub ca_key: CaKey,
}

/// The private key of `intercept`, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub enum CaKey {
    /// A file.
    File(PathBuf),
    /// A key that was generated for this process, and is in no file.
    Memory(Arc<Zeroizing<String>>),
}

/// Omits the key.
impl fmt::Debug for CaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Memory(_) => f.write_str("Memory(…)"),
        }
    }
}

impl CaKey {
    fn read(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::File(path) => content(path),
            Self::Memory(pem) => Ok(Zeroizing::new(pem.as_bytes().to_vec())),
        }
    }

    /// What a message calls it.
    fn described(&self) -> String {
        match self {
            Self::File(path) => format!("the file{}", display_path(path)),
            Self::Memory(_) => "the generated key".into(),
        }
    }
}

/// `connect.unmatched`: how a `CONNECT` to a host of no service is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// The request is rejected.
    #[default]
    Deny,
    /// Bytes pass unchanged, without a credential.
    Tunnel(Tunnel),
}

/// Settings of tunnels to hosts of no service: the other keys of `connect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// Time limit for resolving the host and connecting to it.
    pub connect_timeout: Duration,
    /// A tunnel is closed after this time without traffic.
    pub idle_timeout: Option<Duration>,
    /// Whether tunnels may lead to this machine and to link-local addresses.
    pub allow_local: bool,
}

impl Default for Tunnel {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Some(Duration::from_secs(3600)),
            allow_local: false,
        }
    }
}

/// The content of the files at one point in time.
pub struct InterceptFiles {
    cert: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl Hash for InterceptFiles {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&*self.cert, &*self.key).hash(state);
    }
}

impl Intercept {
    /// Reads the files; the error names the one that cannot be read.
    pub fn read(&self) -> Result<InterceptFiles, String> {
        Ok(InterceptFiles { cert: content(&self.ca_cert_file)?, key: self.ca_key.read()? })
    }

    /// The certificate chain and the private key, checked to match. The error names the file and nothing of
    /// its content.
    pub fn authority(
        &self,
        files: &InterceptFiles,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let failed = |path: &Path, what: &str| format!("the file{} {what}", display_path(path));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&files.cert).collect();
        let chain =
            chain.map_err(|_| failed(&self.ca_cert_file, "contains a certificate that cannot be parsed"))?;
        let Some(first) = chain.first() else {
            return Err(failed(&self.ca_cert_file, "contains no certificate; expected PEM"));
        };
        let key = PrivateKeyDer::from_pem_slice(&files.key)
            .map_err(|_| format!("{} contains no private key that can be parsed", self.ca_key.described()))?;
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider).map_err(|_| {
            format!(
                "{} does not contain the key of the certificate{}",
                self.ca_key.described(),
                display_path(&self.ca_cert_file)
            )
        })?;
        let (_, parsed) = x509_parser::parse_x509_certificate(first)
            .map_err(|_| failed(&self.ca_cert_file, "contains a certificate that cannot be parsed"))?;
        if !parsed.is_ca() {
            return Err(failed(
                &self.ca_cert_file,
                "contains a certificate that is not a CA certificate; `sidekey ca init` creates one",
            ));
        }
        let validity = parsed.validity();
        if !validity.is_valid() {
            return Err(failed(
                &self.ca_cert_file,
                &format!(
                    "contains a certificate that is not valid today, but from {} until {}; `sidekey ca init` creates a new one",
                    rfc3339(validity.not_before.timestamp()),
                    rfc3339(validity.not_after.timestamp())
                ),
            ));
        }
        Ok((chain, key))
    }
}

/// Reads `intercept`.
pub(crate) fn read(value: &Value<'_>) -> Option<Intercept> {
    let mut mapping = value.mapping()?;
    let ca_cert = mapping.required("ca_cert_file").and_then(|value| value.parse(path));
    let ca_key = mapping.required("ca_key_file").and_then(|value| value.parse(path));
    mapping.reject_unknown_keys();
    let (cert_file, key_file) = (ca_cert?, ca_key?);
    for file in [&cert_file, &key_file] {
        value.watch(file, FileKind::Certificate);
        let is_key = *file == key_file;
        value.warn_if_exposed(file, if is_key { Content::Secret } else { Content::Trusted });
    }
    let intercept = Intercept { ca_cert_file: cert_file, ca_key: CaKey::File(key_file) };
    if !value.reads_files() {
        return Some(intercept);
    }
    let usable = intercept.read().and_then(|files| intercept.authority(&files));
    usable.map_err(|message| value.error(message)).ok()?;
    Some(intercept)
}

/// Reads `connect`.
pub(crate) fn unmatched(value: &Value<'_>) -> Option<Unmatched> {
    let default = Tunnel::default();
    let mut mapping = value.mapping()?;
    let is_tunnel =
        mapping.optional("unmatched").and_then(|value| value.one_of(&UNMATCHED)).unwrap_or_default();
    let mut setting = |key| {
        let value = mapping.optional(key)?;
        if !is_tunnel {
            value.error("has no effect without `unmatched: tunnel`");
        }
        Some(value)
    };
    let connect_timeout = setting("connect_timeout").and_then(|value| duration::positive(&value));
    let idle_timeout = setting("idle_timeout").and_then(|value| duration::positive(&value));
    let allow_local = setting("allow_local").and_then(|value| value.boolean());
    mapping.reject_unknown_keys();
    let tunnel = Tunnel {
        connect_timeout: connect_timeout.unwrap_or(default.connect_timeout),
        idle_timeout: idle_timeout.or(default.idle_timeout),
        allow_local: allow_local.unwrap_or(default.allow_local),
    };
    Some(if is_tunnel { Unmatched::Tunnel(tunnel) } else { Unmatched::Deny })
}
