//! The certificate authority of interception: a certificate for a host of a service, made when the first caller asks for
//! it. The keys of these certificates are made here and never leave the process.

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
use crate::config::{Host, Intercept, InterceptFiles};
use crate::proto::http2;

/// A certificate is valid from so long ago, for callers whose clock is late, …
const BACKDATE: Duration = Duration::from_secs(24 * 3600);
/// … for so long, …
const VALIDITY: Duration = Duration::from_secs(7 * 24 * 3600);
/// … and made anew after this.
const REISSUE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Certificates that are kept. Their hosts come from the configuration, so this is not reached by what callers do.
const MAX_CACHED: usize = 1024;

/// An authority that signs for the hosts of services, made again when its files hold another.
pub struct InterceptionCa {
    config: Intercept,
    signer: Reloadable<Signer>,
}

/// One authority, and what it has signed.
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    chain: Vec<CertificateDer<'static>>,
    issued: Mutex<HashMap<Host, (Instant, Arc<ServerConfig>)>>,
}

/// An authority that cannot be used, or a certificate that cannot be issued.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InterceptionCaError(String);

/// Without the key.
impl fmt::Debug for InterceptionCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptionCa").finish_non_exhaustive()
    }
}

impl InterceptionCa {
    /// Reads certificate and key.
    pub fn new(config: &Intercept) -> Result<Self, InterceptionCaError> {
        let signer = Reloadable::new(config.read(), |files| Signer::new(config, files));
        Ok(Self { config: config.clone(), signer: signer.map_err(InterceptionCaError)? })
    }

    /// Whether this is the authority of that configuration.
    pub fn is_of(&self, config: &Intercept) -> bool {
        self.config == *config
    }

    /// Looks at the files; `None` where they hold what is in use. What cannot be used leaves the authority in use.
    pub fn reload(&self) -> Option<Reloaded> {
        let signer = |files: &_| Signer::new(&self.config, files);
        self.signer.reload("intercept", self.config.read(), signer)
    }

    /// A server's TLS as `host`, which refuses a caller that asks for another name.
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
            InterceptionCaError(format!("cannot make a certificate for {host}: {error}"))
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

/// One identity, for those who ask for it by name or by none (RFC 6066 §3: an address is no name).
#[derive(Debug)]
struct SingleHostResolver {
    host: Host,
    identity: Arc<CertifiedKey>,
}

impl ResolvesServerCert for SingleHostResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_asked_for = match (&self.host, hello.server_name()) {
            (_, None) => true,
            (Host::Name(own), Some(name)) => name.eq_ignore_ascii_case(own),
            (Host::Ip(_), Some(_)) => false,
        };
        is_asked_for.then(|| self.identity.clone())
    }
}
