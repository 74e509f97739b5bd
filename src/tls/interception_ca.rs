//! The certificate authority (CA) of interception. It issues a certificate for a host of a service when the
//! first caller needs it. The keys of these certificates are generated here, and never leave the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::reloadable::{Reloadable, Reloaded};
use crate::config::{Host, Intercept, InterceptFiles, wildcard};
use crate::proto::http2;

/// Time by which the start of a certificate's validity is in the past, for callers whose clock is slow.
const BACKDATE: Duration = Duration::from_secs(24 * 3600);
/// Time for which a certificate is valid.
const VALIDITY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Age at which a certificate is replaced by a new one.
const REISSUE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Number of cached certificates at most. Their hosts and wildcards come from the configuration, so callers cannot fill
/// the cache.
const MAX_CACHED: usize = 1024;

/// A CA that issues certificates for the hosts of services; rebuilt when its files change.
pub struct InterceptionCa {
    config: Intercept,
    signer: Reloadable<Signer>,
}

/// The CA of one version of the files, and the certificates it has issued.
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    chain: Vec<CertificateDer<'static>>,
    issued: Mutex<HashMap<Host, (Instant, Arc<ServerConfig>)>>,
}

/// The error of a CA that cannot be used, or of a certificate that cannot be issued.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InterceptionCaError(String);

/// Omits the key.
impl fmt::Debug for InterceptionCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptionCa").finish_non_exhaustive()
    }
}

impl InterceptionCa {
    /// Reads the certificate and the key.
    pub fn new(config: &Intercept) -> Result<Self, InterceptionCaError> {
        let signer = Reloadable::new(config.read(), |files| Signer::new(config, files));
        Ok(Self { config: config.clone(), signer: signer.map_err(InterceptionCaError)? })
    }

    /// Whether this is the CA of that configuration.
    pub fn is_of(&self, config: &Intercept) -> bool {
        self.config == *config
    }

    /// Reads the files again; `None` if they have not changed. Files that cannot be used change nothing.
    pub fn reload(&self) -> Option<Reloaded> {
        let signer = |files: &_| Signer::new(&self.config, files);
        self.signer.reload("intercept", self.config.read(), signer)
    }

    /// The server configuration for `host`, which may be a wildcard. The handshake fails if the caller asks for another name.
    pub fn server(&self, host: &Host) -> Result<Arc<ServerConfig>, InterceptionCaError> {
        self.signer.current().server(host)
    }
}

impl Signer {
    fn new(config: &Intercept, files: &InterceptFiles) -> Result<Self, String> {
        let (chain, key) = config.authority(files)?;
        let unusable = |error: rcgen::Error| format!("`intercept` cannot be used: {error}");
        let key = KeyPair::try_from(&key).map_err(unusable)?;
        let issuer = Issuer::from_ca_cert_der(&chain[0], key).map_err(unusable)?;
        Ok(Self { issuer, chain, issued: Mutex::default() })
    }

    fn server(&self, host: &Host) -> Result<Arc<ServerConfig>, InterceptionCaError> {
        let mut issued = self.issued.lock();
        if let Some((at, server)) = issued.get(host)
            && at.elapsed() < REISSUE_AFTER
        {
            return Ok(server.clone());
        }
        let server = Arc::new(self.issue(host)?);
        if issued.len() >= MAX_CACHED {
            issued.clear();
        }
        issued.insert(host.clone(), (Instant::now(), server.clone()));
        Ok(server)
    }

    fn issue(&self, host: &Host) -> Result<ServerConfig, InterceptionCaError> {
        let failed = |error: &dyn fmt::Display| {
            InterceptionCaError(format!("cannot issue a certificate for {host}: {error}"))
        };
        let now = SystemTime::now();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![match host {
            Host::Name(name) => SanType::DnsName(name.clone().try_into().map_err(|error| failed(&error))?),
            Host::Ip(ip) => SanType::IpAddress(*ip),
        }];
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Sidekey interception");
        params.not_before = (now - BACKDATE).into();
        params.not_after = (now + VALIDITY).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| failed(&error))?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = [certificate.der().clone()].into_iter().chain(self.chain.iter().cloned()).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let identity = CertifiedKey::from_der(chain, key, &provider).map_err(|error| failed(&error))?;
        let resolver = SingleHostResolver { host: host.clone(), identity: Arc::new(identity) };
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        server.alpn_protocols = http2::alpn_protocols();
        Ok(server)
    }
}

/// Returns the certificate of one host if the caller asks for that host's name, or for none. A caller must
/// not ask for an address (RFC 6066 §3).
#[derive(Debug)]
struct SingleHostResolver {
    host: Host,
    identity: Arc<CertifiedKey>,
}

impl ResolvesServerCert for SingleHostResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_requested = match (&self.host, hello.server_name()) {
            (_, None) => true,
            // `own` is canonical. Some callers send the dot at the end of a name.
            (Host::Name(own), Some(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                match wildcard::suffix(own).and(name.find('.')) {
                    None => name.eq_ignore_ascii_case(own),
                    Some(dot) => name[dot..].eq_ignore_ascii_case(wildcard::key(own)),
                }
            }
            (Host::Ip(_), Some(_)) => false,
        };
        is_requested.then(|| self.identity.clone())
    }
}
